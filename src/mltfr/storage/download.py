"""Downloads: addresses, and wheels that carry data; checked against their SHA-256 before anybody opens them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.request import HTTPRedirectHandler, Request, build_opener

from mltfr.errors import ChecksumError, ConfigError, FetchError, shown
from mltfr.storage.files import atomic_file, sha256
from mltfr.storage.progress import SILENT, Progress

CONNECT_TIMEOUT = 5.0
"""Seconds without an answer after which an address counts as unreachable."""
CHUNK = 1 << 20
MEGABYTE = 1_000_000
MAX_DOWNLOAD = 1 << 30
"""Bytes after which a download whose size is not known is given up."""
_PINNED = re.compile(r"[\w.-]+==[\w.+!]+ --hash=sha256:[0-9a-f]{64}")
_PLATFORM = (
    "--platform=manylinux2014_x86_64",
    "--implementation=cp",
    "--python-version=3.11",
    "--abi=cp311",
)
"""The wheel that is taken on every machine: only data is read out of it, and one checksum then holds for all."""
_PIP = """
import contextlib, runpy
with contextlib.suppress(ImportError):  # Windows has no such limits
    import resource
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    limit = {limit} if hard == resource.RLIM_INFINITY else min({limit}, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""Runs pip with a limit on the size of what it writes; pip itself knows none."""


def check_online(what: str, command: str = "") -> None:
    """Refuse to fetch where `MLTFR_OFFLINE=1` forbids it; whatever fetches calls this first.

    Args:
        what: what would be fetched.
        command: what fetches it, for the message.

    Raises:
        FetchError: nothing may be fetched.
        ConfigError: the variable is neither 0 nor 1.
    """
    value = os.environ.get("MLTFR_OFFLINE", "")
    if value == "1":
        remedy = f" With a connection run: MLTFR_OFFLINE=0 {command}" if command else ""
        raise FetchError(f"{what}: MLTFR_OFFLINE=1 forbids fetching it.{remedy}")
    if value not in ("", "0"):
        raise ConfigError(f"MLTFR_OFFLINE is {shown(value)}; expected 1, which forbids all downloads, or 0.")


class HttpsRedirects(HTTPRedirectHandler):
    """Follows redirects to https addresses alone."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Return the request for the new address.

        Raises:
            FetchError: it is no https address.
        """
        if not newurl.lower().startswith("https://"):
            raise FetchError(f"{req.full_url}: redirects to {newurl}; only https addresses are fetched.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class TooLargeError(FetchError):
    """A server sends more than was expected."""


def urlopen(url: str | Request, timeout: float) -> Any:
    """Open an https address; redirects lead to https addresses alone."""
    return build_opener(HttpsRedirects).open(url, timeout=timeout)


def download_url(
    url: str,
    path: Path,
    progress: Progress = SILENT,
    timeout: float = CONNECT_TIMEOUT,
    limit: int = MAX_DOWNLOAD,
    checksum: str | None = None,
) -> None:
    """Download `url` to `path`.

    Args:
        url: an https address.
        path: where the file goes; it appears only when it is complete and has the checksum.
        progress: receives the megabytes that have arrived.
        timeout: seconds to wait for the server, at the start and between two pieces.
        limit: bytes after which the download is given up.
        checksum: SHA-256 of the file, if it is known.

    Raises:
        FetchError: the address cannot be reached, the download breaks off or is too large, or MLTFR_OFFLINE=1.
        ChecksumError: what arrived has another checksum.
        OutputError: the file cannot be written.
    """
    check_address(url)
    with fetch_errors(url), urlopen(url, timeout=timeout) as response, atomic_file(path) as temporary:
        with temporary.open("wb") as file:
            receive(response, file, url, progress, limit)
        if checksum is not None and (found := sha256(temporary)) != checksum:
            raise ChecksumError(
                f"{url}: SHA-256 is {found}, expected {checksum}. It was not opened, and nothing was kept."
            )


def check_address(url: str) -> None:
    """Refuse an address that may not be fetched.

    Raises:
        FetchError: it is no https address, or MLTFR_OFFLINE=1.
    """
    if not url.startswith("https://"):
        raise FetchError(f"{url}: only https addresses are fetched.")
    check_online(url)


@contextmanager
def fetch_errors(url: str) -> Iterator[None]:
    """Turn what a connection raises into one line.

    Raises:
        FetchError: the address cannot be reached, or its answer is none.
    """
    try:
        yield
    except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", None) or error
        raise FetchError(f"{url}: cannot be fetched ({reason}). Check the network connection.") from error


def receive(response: Any, file: BinaryIO, url: str, progress: Progress, limit: int, have: int = 0) -> None:
    """Write what a server sends into a file.

    Args:
        response: the answer.
        file: where it goes, behind what is there.
        url: its address.
        progress: receives the megabytes that have arrived.
        limit: bytes after which the download is given up, with what was there before.
        have: bytes that were there before.

    Raises:
        FetchError: the answer breaks off or is too large.
    """
    announced = str(response.headers.get("Content-Length") or "")
    expected = have + int(announced) if announced.isdecimal() and len(announced) < 20 else 0
    received = have
    progress.start(f"downloading {url} (MB)", expected // MEGABYTE or None, have // MEGABYTE)
    while expected <= limit and (piece := response.read(CHUNK)):
        received += len(piece)
        if received > limit:
            break
        file.write(piece)
        progress.advance(received // MEGABYTE - (received - len(piece)) // MEGABYTE)
    if max(received, expected) > limit:
        raise TooLargeError(f"{url}: sends more than the {limit:,} bytes that were expected.")
    if received < expected:
        raise FetchError(f"{url}: the download broke off after {received:,} of {expected:,} bytes.")


def download_wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel with pip, by the user's own index settings, without installing it.

    Pip compares its checksum before it opens it.

    Args:
        requirement: a pinned requirement with the SHA-256 of the wheel, as in pip's files of requirements
            ("recbole==1.2.1 --hash=sha256:9c99...").
        folder: where a new folder with the wheel in it is made; the caller removes it.

    Returns:
        The wheel's path.

    Raises:
        FetchError: pip is missing or found no such wheel, or MLTFR_OFFLINE=1.
        ChecksumError: the wheel has another checksum.
    """
    if not _PINNED.fullmatch(requirement):
        raise FetchError(f"{requirement}: has no pinned version and checksum, so it is not fetched.")
    name = requirement.split()[0]
    check_online(name)
    folder.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=folder, prefix="wheel-"))
    listed = target / "requirements.txt"
    listed.write_text(requirement + "\n", encoding="utf-8")
    # -P: a pip.py, or any module that pip imports, in the current folder is not run.
    command = [sys.executable, "-P", "-c", _PIP.format(limit=MAX_DOWNLOAD), "download", "--no-deps"]
    command += ["--only-binary=:all:", "--retries=2", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    command += [*_PLATFORM, "--require-hashes", f"--dest={target}", f"--requirement={listed}"]
    environment = {**os.environ, "TMPDIR": str(target)}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    wheels = list(target.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    shutil.rmtree(target)
    if "No module named pip" in done.stderr:
        raise FetchError(f"{name}: pip is missing. Install it with: {sys.executable} -m ensurepip")
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise ChecksumError(
            f"{name}: wrong checksum: the wheel that the index sent is not the known one. It was not opened, and "
            "nothing was kept. Check pip's index settings."
        )
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ") and line != "ERROR: Exception:"]
    reason = (errors or done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise FetchError(
        f"{name}: pip could not download it ({reason.removeprefix('ERROR: ')}). "
        "Check the network connection and pip's index settings."
    )
