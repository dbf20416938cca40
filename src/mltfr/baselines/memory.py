"""How much memory there is before something large is begun."""

from __future__ import annotations

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the bytes that can still be used without swapping; None where the system does not say.

    A container's limit counts where it is lower than what the machine has left.
    """
    found = [value for value in (_of_machine(), _of_control_group()) if value is not None]
    return min(found) if found else None


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
        return max(0, limit - int((_CONTROL_GROUP / "memory.current").read_text()))
    except (OSError, ValueError):  # none, or "max"
        return None
