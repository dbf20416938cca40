"""A working process, as its parent sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from mltfr.study.process import WATCH

ERRORS = "stderr.txt"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


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
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
        with (folder / ERRORS).open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(folder), WATCH],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the parent, which tells its children itself
            )

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
        text = (self.folder / ERRORS).read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        code = self.process.returncode
        if code == -signal.SIGKILL:
            return "killed by signal 9, perhaps because the memory was full"
        return lines[-1] if lines else f"ended with exit code {code}"
