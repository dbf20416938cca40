"""Downloads that go on where they broke off: what has arrived stays beside the file, as NAME.part."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

from mltfr.storage.download import (
    CONNECT_TIMEOUT,
    TooLargeError,
    check_address,
    fetch_errors,
    receive,
    urlopen,
)
from mltfr.storage.files import flush, output_errors, read_json, write_json
from mltfr.storage.progress import SILENT, Progress

UNSATISFIABLE = 416
"""What a server answers that has nothing behind the bytes that are there."""


def download_large(
    url: str, path: Path, limit: int, progress: Progress = SILENT, timeout: float = CONNECT_TIMEOUT
) -> None:
    """Download `url` to `path`, or the rest of it where a download before broke off and the file is still the same.

    Whether it is the same, the server says: its tag of the file, or its date, is sent back to it. Nobody else may be
    writing the file: whoever holds its folder's lock calls this.

    Args:
        url: an https address.
        path: where the file goes; it appears only when it is complete. Its checksum is the caller's to compare.
        limit: bytes after which the download is given up.
        progress: receives the megabytes that have arrived.
        timeout: seconds to wait for the server, at the start and between two pieces.

    Raises:
        FetchError: the address cannot be reached, the download breaks off (what has arrived is kept) or is too large
            (nothing is), or MLTFR_OFFLINE=1.
        OutputError: the file cannot be written.
    """
    check_address(url)
    part, note = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
    have, tag = _begun(part, note, url)
    try:
        with fetch_errors(url):
            try:
                _download(url, part, note, have, tag, limit, progress, timeout)
            except HTTPError as error:
                if not have or error.code != UNSATISFIABLE:
                    raise
                _download(url, part, note, 0, "", limit, progress, timeout)
    except TooLargeError:
        part.unlink(missing_ok=True)
        note.unlink(missing_ok=True)
        raise
    with output_errors(path):
        flush(part)
        part.replace(path)
        note.unlink(missing_ok=True)


def _begun(part: Path, note: Path, url: str) -> tuple[int, str]:
    """Return how many bytes of a file are there, and the server's tag of it; 0 where it cannot be gone on with."""
    with suppress(OSError, ValueError):
        found = read_json(note)
        if found.get("url") == url and isinstance(tag := found.get("tag"), str) and tag:
            return part.stat().st_size, tag
    return 0, ""


def _download(
    url: str, part: Path, note: Path, have: int, tag: str, limit: int, progress: Progress, timeout: float
) -> None:
    headers = {"Range": f"bytes={have}-", "If-Range": tag} if have else {}
    with urlopen(Request(url, headers=headers), timeout) as response:  # noqa: S310 - https alone, see check_address
        goes_on = have and response.status == 206 and _header(response, "Content-Range").startswith(f"bytes {have}-")
        with output_errors(part):
            if not goes_on:
                have = 0
                part.unlink(missing_ok=True)
                write_json(note, {"url": url, "tag": _tag(response)})
            with part.open("ab") as file:
                receive(response, file, url, progress, limit, have)


def _tag(response: Any) -> str:
    """Return what names the content of a file for its server: a strong tag, else its date; empty if there is none."""
    tag = _header(response, "ETag")
    return tag if tag and not tag.startswith("W/") else _header(response, "Last-Modified")


def _header(response: Any, name: str) -> str:
    return str(response.headers.get(name) or "")
