"""The frame of a study's working process: its threads, its lock, and when it has to stop."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Event

import torch

from mltfr.errors import ConfigError, MltfrError
from mltfr.storage.lock import locked
from mltfr.study.task import Task, read_task
from mltfr.training import Interrupted, stop_request

WATCH = "--until-stdin-closes"
"""Says that the process has a parent at the other end of stdin, and stops with it."""
PATIENCE = 600.0
"""Seconds to wait for a process whose parent was killed, until it has written its checkpoint."""
DONE, CRASHED, REFUSED, STOPPED = 0, 1, 2, 130
"""Exit codes: finished, any other error, settings that allow no training, asked to stop."""


def main(work: Callable[[Path, Task, Event], None], arguments: list[str]) -> int:
    """Do the task of a folder and return the exit code; the last line on stderr says what went wrong.

    Args:
        work: does it; raises `Interrupted` when the event was set and a checkpoint is written.
        arguments: the folder, and perhaps `WATCH`.
    """
    folder = Path(arguments[0])
    try:
        task = read_task(folder)
        torch.set_num_threads(int(task.basis["threads"]))
        with stop_request() as stop:
            if WATCH in arguments:
                threading.Thread(target=_watch, args=(stop,), daemon=True).start()
            with locked(folder, timeout=PATIENCE):
                work(folder, task, stop)
    except Interrupted:
        return STOPPED
    except MltfrError as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return REFUSED if isinstance(error, ConfigError) else CRASHED
    except Exception:
        traceback.print_exc()
        return CRASHED
    return DONE


def _watch(stop: Event) -> None:
    """Ask for a stop once the parent closes its end, or is gone."""
    while os.read(0, 1024):  # not sys.stdin, whose lock would be in the way at the end
        pass
    stop.set()
