"""Scratch folders: hidden, removed at the end, and if their process was killed, when the next one is made."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mltfr.storage.files import STALE_AFTER
from mltfr.storage.processes import is_alive


@contextmanager
def scratch_folder(parent: Path, kind: str) -> Iterator[Path]:
    """Yield a new, empty folder in `parent`, which is made if it is missing.

    Args:
        parent: where the folder is made.
        kind: what it is for; part of its name, and only folders of that kind are cleared away.

    Raises:
        OSError: it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f".{kind}-*"):
        if _is_left_over(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = parent / f".{kind}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder: Path) -> bool:
    """Return whether the process that made a folder has ended; of other machines' folders, whether a day is over."""
    before, _, rest = folder.name.rpartition("-")
    owner, _, pid = before.rpartition("-")
    here = rest and owner.endswith(f"-{socket.gethostname()}") and pid.isdecimal()
    if here and (alive := is_alive(int(pid))) is not None:
        return not alive
    with suppress(OSError):  # it has just been removed
        return time.time() - folder.stat().st_mtime > STALE_AFTER
    return False
