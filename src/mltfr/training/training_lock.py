"""One training at a time in a process: torch's random numbers are one stream for all threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from mltfr.errors import RunError

_lock = Lock()


@contextmanager
def training_lock() -> Iterator[None]:
    """Let no other thread of this process train inside.

    Raises:
        RunError: another one does.
    """
    if not _lock.acquire(blocking=False):
        raise RunError(
            "Another thread of this process is training. Both would draw from one stream of random numbers, and "
            "neither result could be had again. Train one after the other, or each in a process of its own."
        )
    try:
        yield
    finally:
        _lock.release()
