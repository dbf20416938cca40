"""Starting the process of a run, and waiting for its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import NamedTuple

from mltfr.threads import short_waits

POLL = 0.05
"""Seconds between two polls of a process and the events."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


class Ended(NamedTuple):
    """How a process ended: its exit code, and the last line that it wrote to stderr."""

    code: int
    last_error: str


Launch = Callable[[Path, int, Event, Event], Ended]
"""Trains a run in a process and waits for its end: run folder, threads, an event that stops it with a checkpoint,
and one that ends it at once."""


def launch(run: Path, threads: int, stop: Event, kill: Event) -> Ended:
    """Train a run in a process of its own on this machine, and return how it ended.

    Args:
        run: the run folder; its specification is written.
        threads: threads of the process.
        stop: when set, the process writes a checkpoint and ends.
        kill: when set, it ends at once.
    """
    environment = {**os.environ, **short_waits(os.environ), **dict.fromkeys(_THREADS, str(threads))}
    with TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mltfr.study.job", str(run)],  # -P: no module in the current folder is run
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which passes it on
        )
        while (code := _wait(process)) is None:
            if kill.is_set():
                process.kill()
            elif stop.is_set() and process.stdin is not None:
                with suppress(OSError):  # it has just ended
                    process.stdin.close()
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        errors.seek(0)
        return Ended(code, _last_error(errors.read().decode(errors="replace"), code))


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(POLL)
    except subprocess.TimeoutExpired:
        return None


def _last_error(text: str, code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed by signal 9, perhaps because the memory was full"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with exit code {code}"
