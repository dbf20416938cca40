"""Killed at random moments and resumed, a search ends as if it had not been."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from support.forks import forked
from support.small_search import board_of, search_here, write_log

SETTINGS = {
    "training": {"samples": "positions", "epochs": 4, "batch_size": 32, "advanced": {"checkpoint_seconds": 0.0}},
    "backbone": {"hidden": 8, "max_length": 10},
}
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
"""What Python tells of before it is done, where it changes a folder; an `open` does if it is for writing."""


def work(log: Path, out: Path, counted: Path, moment: int) -> None:
    """Search, in a process of its own that is killed just before it changes its folder for the `moment`-th time."""
    changes = 0

    def count(event: str, given: tuple[Any, ...]) -> None:
        nonlocal changes
        if event not in CHANGES or not str(given[0]).startswith(str(out)):
            return
        reads = event == "open" and not given[2] & (os.O_WRONLY | os.O_RDWR)
        if reads or "beat" in threading.current_thread().name:  # which goes by the clock
            return
        changes += 1
        if changes == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    os.fsync = lambda _: None  # what a killed process wrote is there without it
    search_here(log, out, resume=out.exists(), settings=SETTINGS, trials=1)
    counted.write_text(str(changes))


def ended(*given: Any) -> int:
    """Search in another process and return how it ended."""
    process = forked(work, *given)
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_with_the_same_leaderboard(tmp_path):
    """Moments are changes of its folder, and not times: how busy the machine is decides nothing."""
    log, counted, draw = write_log(tmp_path / "log.csv"), tmp_path / "changes", random.Random(4)
    assert ended(log, tmp_path / "straight", counted, -1) == 0
    most, kills, out = int(counted.read_text()) // 6, 0, tmp_path / "killed"
    while kills < 60 and (code := ended(log, out, counted, draw.randint(1, most))) != 0:
        assert code == -signal.SIGKILL
        kills += 1
    assert kills >= 20
    assert_frame_equal(board_of(out), board_of(tmp_path / "straight"))
