"""Folders that appear whole or not at all, also when two processes make the same one at once."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mltfr.errors import OutputError

_STALE_AFTER = 24 * 3600.0
"""Seconds after which a temporary folder must come from a process that was killed."""


@contextmanager
def new_folder(parent: Path) -> Iterator[tuple[Path, Callable[[str], Path]]]:
    """Yield an empty temporary folder in `parent`, and a function that publishes it under a name.

    The function flushes the files to the disk and renames the folder. If another process published the
    same name first, that folder stands and this one is discarded: names say what is inside, so both
    hold the same. A folder that was not published is removed.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary = parent / f".{os.getpid()}-{secrets.token_hex(4)}.partial"

    def publish(name: str) -> Path:
        for path in (*sorted(temporary.iterdir()), temporary):
            _flush(path)
        destination = parent / name
        try:
            temporary.rename(destination)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        _flush(parent)
        return destination

    with writing(parent):
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _sweep(parent)
            temporary.mkdir()
            yield temporary, publish
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into one line.

    Raises:
        OutputError: the disk is full, or `where` cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{where}: cannot be written ({error.strerror or error}). Nothing was kept. "
            "Free some space, or point MLTFR_HOME to a folder with room."
        ) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for path in parent.glob(".*.partial"):
        with suppress(FileNotFoundError):  # its owner removed it just now
            if time.time() - path.stat().st_mtime > _STALE_AFTER:
                shutil.rmtree(path, ignore_errors=True)
