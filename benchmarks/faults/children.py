"""A forked child that does one thing, so that it can be killed, and nothing of it is left."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

PIPE = 1 << 20
"""Bytes of output that a child may write until its end."""


def die_with_parent() -> None:
    """End this process when the one that forked it ends."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Ended:
    """How a forked child ended.

    Attributes:
        code: its exit code, minus the signal's number if one ended it, None if it took too long.
        out: what it wrote to stdout.
        errors: what it wrote to stderr.
        seconds: how long it took.
    """

    code: int | None
    out: str
    errors: str
    seconds: float

    @property
    def refusal(self) -> str:
        """The line that a refused command ends with; empty if it was not refused as it should be."""
        lines = [line for line in self.errors.splitlines() if line.startswith("mltfr: ")]
        clean = self.code == 2 and "Traceback" not in self.errors and "panicked" not in self.errors
        return lines[-1] if clean and lines and self.errors.splitlines()[-1] == lines[-1] else ""

    def __str__(self) -> str:
        return f"exit {self.code}: {self.errors[-1200:].strip()}"


class Child:
    """A forked process that does one thing and ends; its output goes into pipes, which no full disk stops.

    Args:
        work: what it does; returns the exit code, or raises SystemExit.
    """

    def __init__(self, work: Callable[[], int | None]) -> None:
        pipes = [os.pipe() for _ in range(2)]
        self.output = [read for read, _ in pipes]
        self.begun = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = os.fork()
        if self.process == 0:
            self._run(work, [write for _, write in pipes])
        for read, write in pipes:
            os.close(write)
            os.set_blocking(read, False)
            fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, PIPE)

    def _run(self, work: Callable[[], int | None], pipes: list[int]) -> NoReturn:
        die_with_parent()
        code = 1
        try:
            for number, pipe in enumerate(pipes, 1):
                os.dup2(pipe, number)
            sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
            code = work() or 0
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
            os._exit(code)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.process, signal.SIGKILL)

    def wait(self, seconds: float = 120.0, until: Callable[[], bool] | None = None) -> Ended | None:
        """Wait for its end, which is forced after some seconds; or return None as soon as `until` holds."""
        while True:
            process, status = os.waitpid(self.process, os.WNOHANG)
            took = time.monotonic() - self.begun
            if process:
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                return self._ended(code, took)
            if took > seconds:
                self.kill()
                os.waitpid(self.process, 0)
                return self._ended(None, took)
            if until is not None and until():
                return None
            time.sleep(0.002)

    def _ended(self, code: int | None, seconds: float) -> Ended:
        return Ended(code, *(_read_all(pipe) for pipe in self.output), seconds)


def _read_all(pipe: int) -> str:
    """Return what a pipe holds, whoever else may still write to it, and close it."""
    found = b""
    with suppress(BlockingIOError):
        while piece := os.read(pipe, PIPE):
            found += piece
    os.close(pipe)
    return found.decode(errors="replace")


def in_child(work: Callable[[], int | None], seconds: float = 120.0) -> Ended:
    """Do something in a forked process, and wait for it."""
    ended = Child(work).wait(seconds)
    assert ended is not None
    return ended
