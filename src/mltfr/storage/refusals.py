"""What the operating system says where it does not let a file be read, whatever that holds, and what to do then."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mltfr.errors import MltfrError
from mltfr.storage.files import os_error

_REFUSED = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


def advice(number: int) -> str:
    """Return what to do about an error of the operating system, by its number, as a sentence."""
    if number in _TOO_MANY:
        return "Raise the limit of open files (ulimit -n)."
    if number == errno.ENOMEM:
        return "Memory is short: end other programs, or take a machine with more."
    return "Check the disk and the permissions."


def tell_refusal(path: Path, caught: Exception, error: type[MltfrError]) -> None:
    """Raise if what kept a file from being read is not what it holds.

    Args:
        path: what was read, where the error names no file.
        caught: what reading it caused.
        error: what is raised.

    Raises:
        MltfrError: of the type `error`: it may not be read, or there are too many open files, or too little memory.
    """
    number = errno.ENOMEM if isinstance(caught, MemoryError) else os_error(caught)
    if number in (*_REFUSED, *_TOO_MANY, errno.ENOMEM):
        where = getattr(caught, "filename", None) or path
        raise error(f"{where}: cannot be read ({os.strerror(number)}). {advice(number)}") from caught


def has_file(path: Path, error: type[MltfrError]) -> bool:
    """Return whether a file is there.

    Raises:
        MltfrError: of the type `error`: it may not be looked at, as in a folder that may not be searched.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError) as caught:
        tell_refusal(path, caught, error)
        return False
