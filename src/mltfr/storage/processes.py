"""Whether a process of this machine lives: what tells left files from files in use."""

from __future__ import annotations

import os
from contextlib import suppress


def is_alive(pid: int) -> bool | None:
    """Return whether a process of this machine lives; None on Windows, where asking would send it a Ctrl-C."""
    if os.name == "nt":
        return None
    try:
        with suppress(PermissionError):  # it is somebody else's
            os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    return True
