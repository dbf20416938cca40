"""The writing operations of a process, counted, so that something can happen at the n-th of them."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from typing import Any

MAKING = ("replace", "rename", "link", "symlink", "mkdir", "fsync", "truncate", "write")
REMOVING = ("unlink", "remove", "rmdir")
_RENAMING = ("replace", "rename")


class Operations:
    """Replaces what Python writes with by functions that count, and do `action` at one count.

    What libraries write in native code does not pass here, but every name that appears, moves or goes does.

    Args:
        at: number of the operation, from 0; None only counts.
        action: called with the operation's name before it, and again after it with "after".
        names: operations that count.
    """

    def __init__(
        self,
        at: int | None = None,
        action: Callable[[str, str], None] | None = None,
        names: tuple[str, ...] = (*MAKING, *REMOVING, "open"),
    ) -> None:
        self.at, self.action, self.names = at, action, names
        self.count, self.process = 0, os.getpid()
        self.log: list[str] = []

    def install(self) -> Operations:
        """Begin; for the rest of the process."""
        for name in (*MAKING, *REMOVING):
            setattr(os, name, self._counted(name, getattr(os, name)))
        opening = self._counted("open", builtins.open, _is_writing)
        builtins.open = io.open = opening  # type: ignore[assignment]
        os.open = self._counted("open", os.open, lambda path, flags=0, *rest, **more: bool(flags & _CREATING))
        return self

    def _counted(self, name: str, real: Callable[..., Any], counts: Callable[..., bool] | None = None) -> Any:
        if name not in self.names:
            return real

        def operation(*arguments: Any, **options: Any) -> Any:
            if (counts is not None and not counts(*arguments, **options)) or _is_stream(name, arguments):
                return real(*arguments, **options)
            number, self.count = self.count, self.count + 1
            if self.action is not None and self.at is not None and number >= self.at:
                self.action(name, "before" if number == self.at else "later")
                answer = real(*arguments, **options)
                if number == self.at:
                    self.action(name, "after")
                return answer
            return real(*arguments, **options)

        return operation


_CREATING = os.O_CREAT | os.O_WRONLY | os.O_RDWR


def _is_writing(file: Any, mode: str = "r", *rest: Any, **more: Any) -> bool:
    return not isinstance(file, int) and any(letter in mode for letter in "wax+")


def _is_stream(name: str, arguments: tuple[Any, ...]) -> bool:
    return name == "write" and bool(arguments) and arguments[0] in (0, 1, 2)


def kill_self(when: str) -> Callable[[str, str], None]:
    """Return an action that ends the process at once, "before" or "after" the operation."""

    def action(name: str, moment: str) -> None:
        if moment == when:
            os.kill(os.getpid(), signal.SIGKILL)

    return action


def stop_self() -> Callable[[str, str], None]:
    """Return an action that stops this process, but none that it forks, until it is told to go on."""
    process = os.getpid()

    def action(name: str, moment: str) -> None:
        if moment == "before" and os.getpid() == process:
            os.kill(process, signal.SIGSTOP)

    return action


def fail(number: int, lasting: bool) -> Callable[[str, str], None]:
    """Return an action that refuses the operation, or it and all later ones, as the operating system would.

    A full disk refuses what makes or fills a file, but not what removes one.
    """

    def action(name: str, moment: str) -> None:
        refused = moment == "before" or (lasting and moment == "later")
        if refused and not (number == errno.ENOSPC and name in (*REMOVING, *_RENAMING)):
            raise OSError(number, os.strerror(number))

    return action
