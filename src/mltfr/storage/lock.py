"""Locks on folders: one writer at a time, and no lock outlives the process that holds it, however it ends."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mltfr.errors import MltfrError, MltfrWarning, OutputError, RunError
from mltfr.storage.files import output_errors, read_json, remove_partial
from mltfr.storage.processes import is_alive

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK, HOLDER = ".mltfr.lock", ".mltfr.lock.json"
"""The locked file, and what says who holds it; other programs use names like .lock, and theirs are left alone."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_held: ContextVar[frozenset[tuple[int, Path]]] = ContextVar("_held", default=frozenset())
"""The folders that this thread, or this task of an event loop, has locked."""


@contextmanager
def locked(folder: Path, timeout: float = 0.0, within: Iterable[str] = (), remedy: str = "") -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is missing; a thread or task that holds it already goes on.

    Temporary files that killed holders left in the folder are removed: nobody writes them any more.

    Nothing of the lock is left behind, nor a folder that was made for it and into which nothing was written.

    Args:
        folder: the folder.
        timeout: seconds to wait for another process, or another thread, that holds it.
        within: further folders in it that its holder alone writes into, as patterns ("tables", "tuning/*").
        remedy: what to do where the folder cannot be made or written, instead of choosing another one.

    Raises:
        RunError: another process, or another thread, still holds it; the message says who.
        OutputError: the folder cannot be made, or nothing can be written into it.
    """
    if is_held(folder):
        yield
        return
    made = not folder.exists()
    lock = _acquire(folder, timeout, remedy)
    token = _held.set(_held.get() | {_key(folder)})
    try:
        _write_holder(folder)
        for place in (folder, *(path for pattern in within for path in folder.glob(pattern))):
            remove_partial(place)
        yield
    finally:
        _held.reset(token)
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
            (folder / LOCK).unlink(missing_ok=True)  # who waits for the old file is sent on to the next one
        lock.release()
        if made:
            with suppress(OSError):  # something lies in it
                folder.rmdir()


def is_held(folder: Path) -> bool:
    """Return whether this thread or task holds the lock of a folder."""
    return _key(folder) in _held.get()


@contextmanager
def naming_the_holder(folder: Path) -> Iterator[None]:
    """Let whatever refuses a folder say instead who is at work in it, if somebody is; a dead holder's lock goes.

    Raises:
        RunError: a process, or another thread, holds the folder's lock.
    """
    try:
        yield
    except MltfrError:
        if (folder / HOLDER).is_file():
            with locked(folder):
                pass
        raise


def _key(folder: Path) -> tuple[int, Path]:
    return os.getpid(), Path(os.path.realpath(folder))  # a process that was forked holds no lock


def _acquire(folder: Path, timeout: float, remedy: str) -> BaseFileLock:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if isinstance(error, FileExistsError) and _comes_and_goes(folder):
                continue
            tail = remedy or "Choose another --out."
            raise OutputError(f"{folder}: cannot be made ({error.strerror}). {tail}") from error
        try:
            with output_errors(folder, remedy):
                lock.acquire(timeout=timeout)
        except Timeout as error:
            raise RunError(
                f"{folder}: {_holder(folder)} is at work in it. Wait for its end, or stop it first."
            ) from error
        except FileNotFoundError:  # its last holder has just removed the folder
            continue
        except (OSError, NotImplementedError) as error:
            if not isinstance(error, NotImplementedError) and error.errno not in _NO_LOCKS:
                raise
            text = f"{folder}: this file system knows no locks; take care that no other process writes there."
            warnings.warn(text, MltfrWarning, stacklevel=4)
        return lock


def _comes_and_goes(folder: Path) -> bool:
    """Return whether what seemed to be a file is a folder that other holders make and remove."""
    try:
        return stat.S_ISDIR(folder.lstat().st_mode)
    except FileNotFoundError:
        return True


def _write_holder(folder: Path) -> None:
    """Write who holds a lock, for the message that others get; it may be missing."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    document = {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": since}
    with suppress(OSError):
        (folder / HOLDER).unlink(missing_ok=True)
        with (folder / HOLDER).open("x", encoding="utf-8") as file:
            json.dump(document, file)


def _holder(folder: Path) -> str:
    """Return who holds a lock, as far as it is known; a text that a killed process left says nothing."""
    here = socket.gethostname()
    try:
        found = read_json(folder / HOLDER)
        pid, host = int(found["pid"]), str(found["host"])
        details = f"`{found['command']}`, since {found['since']}"
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return "another process"
    if host == here and is_alive(pid) is False:
        return "another process"
    return f"{'this process' if (pid, host) == (os.getpid(), here) else f'process {pid} on {host}'} ({details})"
