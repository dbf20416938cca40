"""Atomic folders: a folder whose name follows from its content appears complete, or not at all."""

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

from mltfr.storage.files import flush, output_errors

_STALE_AFTER = 24 * 3600.0
"""Seconds after which a temporary folder must come from a process that was killed."""


class AtomicFolder:
    """A folder under construction, see `atomic_folder`.

    Attributes:
        path: the temporary folder to write into.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def publish(self, name: str, repair: bool = False) -> None:
        """Flush the files to the disk and rename the folder to `name`.

        If `name` exists already, because another process was first, the existing folder is kept: names are
        addresses of contents, so both hold the same.

        Args:
            name: name of the folder beside the temporary one.
            repair: compare the two, and replace the existing one where they differ: it is damaged.
        """
        for path in (*sorted(self.path.iterdir()), self.path):
            flush(path)
        destination = self.path.with_name(name)
        if repair and destination.is_dir() and not _same_files(self.path, destination):
            damaged = self.path.with_suffix(".damaged.partial")
            destination.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        try:
            self.path.rename(destination)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        flush(destination.parent)


@contextmanager
def atomic_folder(parent: Path, remedy: str = "") -> Iterator[AtomicFolder]:
    """Yield a temporary folder in `parent` that gets its name, and its place, by `publish`.

    A folder that is not published is removed, and so are those that killed processes left behind a day ago.

    Args:
        parent: where the folder is made; made itself if missing.
        remedy: what to do if it cannot be written.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary = parent / f".{os.getpid()}-{secrets.token_hex(4)}.partial"
    with output_errors(parent, remedy):
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(parent)
            temporary.mkdir()
            yield AtomicFolder(temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _same_files(folder: Path, other: Path) -> bool:
    files = sorted(path.name for path in folder.iterdir())
    try:
        return all(cmp(folder / file, other / file, shallow=False) for file in files)
    except OSError:
        return False


def _remove_stale(parent: Path) -> None:
    for path in parent.glob(".*.partial"):
        with suppress(FileNotFoundError):  # its owner removed it just now
            if time.time() - path.stat().st_mtime > _STALE_AFTER:
                shutil.rmtree(path, ignore_errors=True)
