"""Files whose checksum was compared: remembered by what the file system says of them, so that it is compared once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mltfr.storage.files import read_json

RECORD = ".verified.json"
"""Name of the record beside a file; one that is damaged, half written, or of another file, is no record."""
SETTLED = 2.0
"""Seconds since the last change before a file is remembered: within a tick of the clock two changes look like one."""


def is_intact(path: Path, sha256: str, digest: Callable[[], str], remembered: bool = True) -> bool:
    """Return whether a file has its checksum.

    It is computed again unless it was found right before and the file has the same size, times of change (of content
    and of entry, which no program can set) and place on the disk as then.

    Args:
        path: the file.
        sha256: its checksum.
        digest: computes what it is now.
        remembered: whether what was found before counts.

    Raises:
        OSError: the file cannot be read.
    """
    record = path.with_name(RECORD)
    now = {"sha256": sha256, "state": list(state(path))}
    if remembered:
        with suppress(OSError, ValueError):
            if read_json(record) == now:
                return True
    if digest() != sha256:
        return False
    if list(state(path)) == now["state"] and is_settled(path):
        with suppress(OSError):  # a store that may only be read is verified every time
            record.write_text(json.dumps(now), encoding="utf-8")  # in place: a kill leaves no file that nobody removes
    return True


def state(path: Path) -> tuple[int, int, int, int]:
    """Return size, times of change and place of a file; once it is settled, another content has another state."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def is_settled(path: Path) -> bool:
    """Return whether a file's last change is so long ago that another one would be seen."""
    return time.time() - max(path.stat().st_mtime, path.stat().st_ctime) > SETTLED
