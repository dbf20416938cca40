"""Atomic folders: a folder whose name follows from its content appears complete, or not at all."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from filecmp import cmp
from pathlib import Path

from mltfr.errors import MltfrError, OutputError
from mltfr.storage.files import flush, is_partial, output_errors, partial_name
from mltfr.storage.lock import is_held, locked

_CONTENT = "content"


class AtomicFolder:
    """A folder under construction, see `atomic_folder`.

    Attributes:
        path: the temporary folder to write into.
    """

    def __init__(self, path: Path, parent: Path) -> None:
        self.path, self._parent = path, parent

    def publish(self, name: str, repair: bool = False) -> None:
        """Flush the files to the disk and rename the folder to `name`.

        If `name` exists already, because another process was first, the existing folder is kept: names are
        addresses of contents, so both hold the same.

        Args:
            name: name of the folder in the parent.
            repair: compare the two, and replace the existing one where they differ: it is damaged.
        """
        for path in (*sorted(self.path.iterdir()), self.path):
            flush(path)
        destination = self._parent / name
        if repair and destination.is_dir() and not _same_files(self.path, destination):
            destination.rename(self.path.with_name("damaged"))  # goes with the temporary folder
        try:
            self.path.rename(destination)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        flush(destination.parent)


@contextmanager
def atomic_folder(parent: Path, remedy: str = "") -> Iterator[AtomicFolder]:
    """Yield a temporary folder in `parent` that gets its name, and its place, by `publish`.

    A folder that is not published is removed, and so are those of processes that were killed.

    Args:
        parent: where the folder is made; made itself if missing.
        remedy: what to do if it cannot be written.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    temporary = partial_name(parent / "folder")
    with output_errors(parent, remedy):
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(parent)
            temporary.mkdir()
        except FileNotFoundError as error:  # a file system in which nobody makes folders, such as /proc
            tail = remedy or "Choose a folder that you may write to."
            raise OutputError(f"{parent}: cannot be written ({error.strerror}). {tail}") from error
        with locked(temporary, timeout=10):  # shows that its process lives
            try:
                (temporary / _CONTENT).mkdir()
                yield AtomicFolder(temporary / _CONTENT, parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


def _same_files(folder: Path, other: Path) -> bool:
    files = sorted(path.name for path in folder.iterdir())
    try:
        return all(cmp(folder / file, other / file, shallow=False) for file in files)
    except OSError:
        return False


def _remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders that nobody holds any more."""
    for path in parent.iterdir():
        if is_partial(path) and not is_held(path) and path.is_dir() and not path.is_symlink():
            with suppress(MltfrError, OSError), locked(path):
                shutil.rmtree(path, ignore_errors=True)
