"""How much memory there is before something large is begun."""

from __future__ import annotations

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CONTROL_GROUP = Path("/sys/fs/cgroup")
_STATM = Path("/proc/self/statm")


def available_memory() -> int | None:
    """Return the bytes that can still be used without swapping; None where the system does not say.

    A container's limit counts where it is lower than what the machine has left.
    """
    found = [value for value in (_of_machine(), _of_control_group()) if value is not None]
    return min(found) if found else None


def used_memory() -> int:
    """Return the bytes of main memory that this process holds; 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def _of_machine() -> int | None:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _of_control_group() -> int | None:
    try:
        limit = int((_CONTROL_GROUP / "memory.max").read_text())
        used = int((_CONTROL_GROUP / "memory.current").read_text())
    except (OSError, ValueError):  # none, or "max"
        return None
    return max(0, min(limit, limit - used + _cached_files()))


def _cached_files() -> int:
    """Return the bytes of files read before that the system keeps, and gives up when memory is asked for."""
    try:
        lines = (_CONTROL_GROUP / "memory.stat").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    except (OSError, ValueError, IndexError):
        return 0
