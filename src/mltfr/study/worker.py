"""A working process, as its parent sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mltfr.study.process import WATCH

ERRORS = "stderr.txt"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


class Job(Protocol):
    """A process that makes a cell or a trial, wherever it runs."""

    folder: Path

    def code(self) -> int | None:
        """Return the exit code, None while it works."""

    def ask_to_stop(self) -> None:
        """Let it write a checkpoint and end."""

    def kill(self) -> None:
        """End it at once."""

    def complaint(self) -> str:
        """Return the last line that it wrote to stderr, or how it ended."""


Launch = Callable[[str, Path, int], Job]
"""Starts a process from the module that it runs, the folder with its task, and its number of threads."""


class Worker:
    """A process that works in one folder until it is done, or asked to stop, or its parent is gone.

    Args:
        module: module that it runs.
        folder: folder with its task.
        threads: threads that it may use.
    """

    def __init__(self, module: str, folder: Path, threads: int) -> None:
        self.folder = folder
        self.started = time.monotonic()
        self.process = start_process(module, folder, threads)

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    def code(self) -> int | None:
        """Return the exit code, None while it works."""
        return self.process.poll()

    def ask_to_stop(self) -> None:
        """Let it write a checkpoint and end."""
        if self.process.stdin is not None:
            with suppress(OSError):  # it has just ended
                self.process.stdin.close()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def complaint(self) -> str:
        """Return the last line that it wrote to stderr, or how it ended."""
        return complaint_of(self.folder, self.process.returncode)


def start_process(module: str, folder: Path, threads: int) -> subprocess.Popen[bytes]:
    """Start a process that works in a folder until its stdin is closed; what it says on stderr goes into a file."""
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
    with (folder / ERRORS).open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", module, str(folder), WATCH],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which tells its children itself
        )


def complaint_of(folder: Path, code: int | None) -> str:
    """Return the last line that a process has written to its file of errors, or how it ended."""
    text = (folder / ERRORS).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if code == -signal.SIGKILL:
        return "killed by signal 9, perhaps because the memory was full"
    return lines[-1] if lines else f"ended with exit code {code}"
