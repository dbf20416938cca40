"""What a watcher sees: counts, failures and the time left."""

from __future__ import annotations

import time

import pytest
from rich.console import Console
from small_study import small

from mltfr.study import make_plan
from mltfr.study.board import Board, duration
from mltfr.study.config import StudyConfig
from mltfr.study.progress import progress_table


@pytest.fixture
def board():
    cells = make_plan(StudyConfig.parse(small(seeds=[0, 1], backbones__bert4rec={}, baselines=["popularity"])))
    return Board(cells, jobs=2)


def rendered(board):
    console = Console(width=120, force_terminal=False)
    with console.capture() as capture:
        console.print(progress_table(board))
    return [line.strip("┃│ ") for line in capture.get().splitlines()]


def test_the_table_counts_cells(board):
    baseline, none, mltfr = board.cells[:3]
    board.states |= {baseline.name: "done", none.name: "running", mltfr.name: "failed"}
    lines = rendered(board)
    (head,) = [line for line in lines if line.startswith("data ")]
    assert [word.strip() for word in head.split("┃")] == ["data", "backbone", "baseline", "none", "mltfr / one"]
    rows = [[word.strip() for word in line.split("│")] for line in lines if line.startswith("made-up")]
    assert rows == [
        ["made-up", "popularity", "1/1"],
        ["made-up", "sasrec", "", "0/2 1 running", "0/2 1 failed"],
        ["made-up", "bert4rec", "", "0/2", "0/2"],
    ]
    assert lines[-1].startswith("1 done, 1 running, 6 waiting, 1 failed; ")
    assert "time left: unknown" in lines[-1]


def test_the_time_left_is_taken_from_the_nearest_relatives(board):
    assert board.time_left() is None
    groups = {cell.group[1:3]: cell.group for cell in board.cells}
    for cell in board.cells:
        board.states[cell.name] = "done"
    waiting = [cell for cell in board.cells if cell.seed == 1]
    for cell in waiting:
        del board.states[cell.name]
    board.seconds[groups["sasrec", "none"]].append(10.0)
    board.seconds[groups["sasrec", "mltfr"]].append(30.0)
    # bert4rec has none of its own yet, so the data set's mean counts: 10 + 30 + 20 + 20, by two jobs
    assert board.time_left() == pytest.approx(40.0)
    board.seconds[groups["bert4rec", "none"]].append(2.0)
    assert board.time_left() == pytest.approx((10 + 30 + 2 + 2) / 2)
    board.trials = {groups["sasrec", "none"]: 3}
    assert board.time_left() == pytest.approx((10 + 30 + 2 + 2 + 3 * 10) / 2)
    running = waiting[0]
    board.states[running.name] = "running"
    board.begin(running.name, running.group)
    board.begun[running.name] = (running.group, time.monotonic() - 8.0)
    assert board.time_left() == pytest.approx((2 + 30 + 2 + 2 + 3 * 10) / 2, abs=0.1)


@pytest.mark.parametrize(("seconds", "text"), [
    (None, "unknown"), (0.0, "0 s"), (99.4, "99 s"), (100, "2 min"), (3600, "60 min"), (11_100, "3 h 05 min"),
])  # fmt: skip
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
