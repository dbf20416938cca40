"""Starting the process of a run, and waiting for its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

from mltfr.storage.child import Ended, run_module

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
    return run_module("mltfr.study.job", [str(run)], threads, stop, kill)
