"""Killed at random moments and resumed, a search ends as if it had not been."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from support.forks import SERVER
from support.small_search import board_of, search_here, write_log

SETTINGS = {
    "training": {"samples": "positions", "epochs": 4, "batch_size": 32, "advanced": {"checkpoint_seconds": 0.0}},
    "backbone": {"hidden": 8, "max_length": 10},
}


def work(log: Path, out: Path, resume: bool) -> None:
    """Search, in a process of its own."""
    search_here(log, out, resume=resume, settings=SETTINGS, trials=1)


def start(log: Path, out: Path):
    process = SERVER.Process(target=work, args=(log, out, out.exists()), daemon=True)
    process.start()
    return process


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_with_the_same_leaderboard(tmp_path):
    log, draw = write_log(tmp_path / "log.csv"), random.Random(4)
    begun = time.monotonic()
    straight = start(log, tmp_path / "straight")
    straight.join(300)
    assert straight.exitcode == 0
    took, kills = time.monotonic() - begun, 0
    while kills < 20:
        process = start(log, tmp_path / "killed")
        process.join(draw.uniform(0.1, 0.6) * took)
        if not process.is_alive():
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    else:
        process = start(log, tmp_path / "killed")
        process.join(300)
    assert process.exitcode == 0
    assert kills >= 3
    assert_frame_equal(board_of(tmp_path / "killed"), board_of(tmp_path / "straight"))
