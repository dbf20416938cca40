"""Locks on folders, which end with the process that holds them, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mltfr.errors import RunError

LOCK = ".lock"


@contextmanager
def locked(folder: Path, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder.

    Args:
        folder: an existing folder.
        timeout: seconds to wait for another process that holds it.

    Raises:
        RunError: another process still holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=timeout)
    except Timeout as error:
        raise RunError(f"{folder}: another process is at work in it. Wait for its end, or stop it first.") from error
    try:
        yield
    finally:
        lock.release()
