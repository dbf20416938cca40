"""The folder of a prepared set while it is made: locked, and cleaned up whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mltfr.errors import word
from mltfr.interactions.prepared import FILES, MARKER, WORK, is_prepared, is_unfinished
from mltfr.storage.files import check_new, output_errors
from mltfr.storage.folder import MANIFEST
from mltfr.storage.lock import locked


@contextmanager
def working(folder: Path) -> Iterator[Path]:
    """Lock a set's folder and yield one for temporary files in it; after an error nothing of either is left.

    Raises:
        RunError: another process is at work in it.
        OutputError: the folder holds something else or cannot be written, or the disk is full.
    """
    if (folder / MANIFEST).exists() and is_unfinished(folder):  # killed after the manifest
        with locked(folder):
            _clear(folder / WORK)
    _check_new(folder)
    with locked(folder), output_errors(folder):
        _check_new(folder)  # again: another process may have finished a set
        work = folder / WORK
        _clear(work)
        work.mkdir()  # fails where it is somebody else's
        try:
            (work / MARKER).touch()
            yield work
        finally:
            if not (folder / MANIFEST).exists():
                for name in FILES:
                    with suppress(OSError):
                        (folder / name).unlink(missing_ok=True)
            _clear(work)  # last: it shows that the files are ours


def _clear(work: Path) -> None:
    """Remove the folder of temporary files where it is one; whatever cannot be removed stays."""
    with suppress(OSError):
        if is_unfinished(work.parent):
            for path in work.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != MARKER:
                    path.unlink()
            (work / MARKER).unlink()
        work.rmdir()


def _check_new(folder: Path) -> None:
    use = "something finished. Choose"
    if is_prepared(folder):
        use = f"a finished prepared set. Use it: mltfr fit {word(folder)} --out RUN. Or choose"
    refusal = f"holds {use} another --out, or remove it first."
    known = {MANIFEST: refusal} | ({WORK: None} if is_unfinished(folder) else {})
    check_new(folder, "an unfinished prepared set", known=known)
