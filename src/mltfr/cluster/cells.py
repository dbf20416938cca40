"""Cells and trials of a study as tasks on a Ray cluster, each in a process as on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltfr.cluster.connection import require_shared
from mltfr.errors import ConfigError
from mltfr.study.process import CRASHED, STOPPED
from mltfr.study.worker import ERRORS, complaint_of, start_process

STOP = ".stop"
"""File in a cell's folder that asks its process to stop."""
LOOK = 0.2
"""Seconds between two looks at it."""
RETRIES = 3
"""Times that a task is started again whose worker was lost; its cell goes on from its checkpoint."""


class RayWorker:
    """A task that runs the process of a cell or trial on whatever node has room.

    Args:
        module: module that the process runs.
        folder: folder with its task, on storage that all nodes share.
        threads: processors that it is given.
    """

    def __init__(self, module: str, folder: Path, threads: int) -> None:
        import ray

        self.folder = folder.absolute()
        (self.folder / STOP).unlink(missing_ok=True)
        (self.folder / ERRORS).unlink(missing_ok=True)
        task = ray.remote(num_cpus=threads, max_retries=RETRIES)(_run)
        self.reference: Any = task.remote(module, self.folder, threads, Path.cwd())
        self._code: int | None = None
        self._lost = ""

    def code(self) -> int | None:
        """Return the exit code, None while it works."""
        import ray

        if self._code is None and ray.wait([self.reference], timeout=0)[0]:
            try:
                self._code = int(ray.get(self.reference))
            except ray.exceptions.TaskCancelledError:
                self._code = STOPPED
            except ray.exceptions.RayError as error:
                self._code, self._lost = CRASHED, _last_line(error)
        return self._code

    def ask_to_stop(self) -> None:
        """Let it write a checkpoint and end."""
        with suppress(OSError):
            (self.folder / STOP).touch()

    def kill(self) -> None:
        """End it at once; its process, whose stdin is closed by that, writes a checkpoint and ends too."""
        import ray

        ray.cancel(self.reference, force=True)

    def complaint(self) -> str:
        """Return the last line that it wrote to stderr, or how it ended."""
        return self._lost or complaint_of(self.folder, self._code)


def _run(module: str, folder: Path, threads: int, here: Path) -> int:
    """Run the process and return its exit code; ask it to stop once `STOP` is there."""
    require_shared([folder])
    with suppress(OSError):
        os.chdir(here)
    process: subprocess.Popen[bytes] = start_process(module, folder, threads)
    try:
        while process.poll() is None:
            if (folder / STOP).exists() and process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            time.sleep(LOOK)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    return int(process.returncode)


def _last_line(error: Exception) -> str:
    cause = getattr(error, "cause", None)
    if isinstance(cause, ConfigError):
        return str(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"its worker was lost more than {RETRIES} times ({lines[-1] if lines else type(error).__name__})"
