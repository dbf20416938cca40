"""Child processes that run a module of this package and end with their parent, of which their stdin tells them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
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


def run_module(module: str, arguments: Sequence[str], threads: int, stop: Event, kill: Event) -> Ended:
    """Run a module in a process of its own on this machine, and return how it ended.

    The module calls `when_stdin_closes`, which happens on `stop`, and with this process, however that ends.

    Args:
        module: its name.
        arguments: its command line.
        threads: threads of the process.
        stop: when set, its stdin is closed.
        kill: when set, it ends at once.
    """
    environment = {**os.environ, **short_waits(os.environ), **dict.fromkeys(_THREADS, str(threads))}
    with TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],  # -P: no module in the current folder is run
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


def when_stdin_closes(do: Callable[[], object]) -> None:
    """Do something in a thread once the stdin of this process is closed: by its parent, or by its parent's end."""

    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin, whose lock would be in the way at the end
            pass
        do()

    threading.Thread(target=wait, daemon=True).start()


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
