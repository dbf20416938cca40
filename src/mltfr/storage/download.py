"""Downloads: addresses, wheels that carry data, and files inside archives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from mltfr.errors import FetchError
from mltfr.storage.files import atomic_file
from mltfr.storage.progress import SILENT, Progress

CONNECT_TIMEOUT = 5.0
"""Seconds without an answer after which an address counts as unreachable."""
CHUNK = 1 << 20
MEGABYTE = 1_000_000


def is_offline() -> bool:
    """Return whether `MLTFR_OFFLINE=1` forbids all downloads."""
    return os.environ.get("MLTFR_OFFLINE") == "1"


def download_url(url: str, path: Path, progress: Progress = SILENT, timeout: float = CONNECT_TIMEOUT) -> None:
    """Download `url` to `path`.

    Args:
        url: an https address.
        path: where the file goes; it appears only when it is complete.
        progress: receives the megabytes that have arrived.
        timeout: seconds to wait for the server, at the start and between two pieces.

    Raises:
        FetchError: the address cannot be reached, or the download breaks off.
        OutputError: the file cannot be written.
    """
    if not url.startswith("https://"):
        raise FetchError(f"{url}: only https addresses are fetched.")
    try:
        with urlopen(url, timeout=timeout) as response, atomic_file(path) as temporary:  # noqa: S310
            expected = int(response.headers.get("Content-Length") or 0)
            received = 0
            progress.start(f"downloading {url} (MB)", expected // MEGABYTE or None)
            with temporary.open("wb") as file:
                while piece := response.read(CHUNK):
                    file.write(piece)
                    progress.advance((received + len(piece)) // MEGABYTE - received // MEGABYTE)
                    received += len(piece)
            if received < expected:
                raise FetchError(f"{url}: the download broke off after {received:,} of {expected:,} bytes.")
    except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", None) or error
        raise FetchError(f"{url}: cannot be fetched ({reason}). Check the network connection.") from error


def download_wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel with pip, by the user's own index settings, without installing it.

    Args:
        requirement: a pinned requirement ("recbole==1.2.1").
        folder: where a new folder with the wheel in it is made; the caller removes it.

    Returns:
        The wheel's path.

    Raises:
        FetchError: pip is missing, or found no such wheel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=folder, prefix="wheel-"))
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--retries=2"]
    command += ["--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    command += [f"--dest={target}", requirement]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wheels = list(target.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        shutil.rmtree(target)
        if "No module named pip" in done.stderr:
            raise FetchError(f"{requirement}: pip is missing. Install it with: {sys.executable} -m ensurepip")
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = (errors or done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise FetchError(
            f"{requirement}: pip could not download it ({reason.removeprefix('ERROR: ')}). "
            "Check the network connection and pip's index settings."
        )
    return wheels[0]


def extract_member(archive: Path, member: str, destination: Path) -> None:
    """Copy one file out of a wheel or another zip archive to `destination`.

    Raises:
        FetchError: the archive is damaged or lacks that file.
        OutputError: the file cannot be written.
    """
    try:
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(member) as source,
            atomic_file(destination) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, CHUNK)
    except KeyError as error:
        raise FetchError(f"{archive.name}: has no file {member}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FetchError(f"{archive.name}: is damaged ({error}). Fetch it again.") from error
