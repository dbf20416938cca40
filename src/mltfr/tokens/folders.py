"""Folders that appear whole or not at all, also when two processes make the same one at once."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from filecmp import cmp
from pathlib import Path
from typing import Protocol

from mltfr.errors import OutputError
from mltfr.fetch import flush

_STALE_AFTER = 24 * 3600.0
"""Seconds after which a temporary folder must come from a process that was killed."""


class Publish(Protocol):
    """Gives a finished folder its name."""

    def __call__(self, name: str, repair: bool = False) -> None:
        """Flush the files to the disk and rename the folder.

        If the name is there already, because another process was first, that folder stands and this one is
        discarded: names say what is inside, so both hold the same.

        Args:
            name: the folder's name.
            repair: compare the two, and take the new one where they differ: the old one is damaged.
        """


@contextmanager
def new_folder(parent: Path) -> Iterator[tuple[Path, Publish]]:
    """Yield an empty temporary folder in `parent`, and a function that publishes it under a name.

    A folder that was not published is removed.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary = parent / f".{os.getpid()}-{secrets.token_hex(4)}.partial"

    def publish(name: str, repair: bool = False) -> None:
        for path in (*sorted(temporary.iterdir()), temporary):
            flush(path)
        destination = parent / name
        if repair and destination.is_dir() and not _same(temporary, destination):
            damaged = temporary.with_suffix(".damaged.partial")
            destination.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        try:
            temporary.rename(destination)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        flush(parent)

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


def _same(folder: Path, other: Path) -> bool:
    files = sorted(path.name for path in folder.iterdir())
    try:
        return all(cmp(folder / file, other / file, shallow=False) for file in files)
    except FileNotFoundError:
        return False


def _sweep(parent: Path) -> None:
    for path in parent.glob(".*.partial"):
        with suppress(FileNotFoundError):  # its owner removed it just now
            if time.time() - path.stat().st_mtime > _STALE_AFTER:
                shutil.rmtree(path, ignore_errors=True)
