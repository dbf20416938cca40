"""Locks on folders, which end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mltfr.errors import RunError

LOCK = ".lock"


@contextmanager
def locked(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder.

    Args:
        folder: an existing folder.
        patience: seconds to wait for another process that holds it.

    Raises:
        RunError: another process still holds it.
    """
    with (folder / LOCK).open("w") as file:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise RunError(
                        f"{folder}: another process is at work in it. Wait for its end, or stop it first."
                    ) from error
                time.sleep(0.1)
        yield
