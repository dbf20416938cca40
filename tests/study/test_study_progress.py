"""What a study reports: counts, failures and the time left."""

from __future__ import annotations

import time

import pytest

from mltfr.storage.progress import Progress
from mltfr.study import make_plan
from mltfr.study.config import StudyConfig
from mltfr.study.inputs import StudyInputs
from mltfr.study.progress import StudyProgress
from mltfr.study.schedule import Schedule
from support.small_study import small


@pytest.fixture
def schedule():
    cells = make_plan(StudyConfig.parse(small(seeds=[0, 1], backbones__bert4rec={}, baselines=["popularity"])))
    return Schedule(cells, jobs=2)


class Shown(Progress):
    """Keeps what is shown."""

    def __init__(self):
        self.lines, self.steps = [], 0

    def start(self, task, total=None, done=0):
        self.total, self.steps = total, done

    def advance(self, steps=1):
        self.steps += steps

    def message(self, text):
        self.lines.append(text)


def test_it_tells_the_columns_of_every_data_set(tmp_path):
    (tmp_path / "shop.csv").write_text("visitor_id,sku,price\nv,a,1\nv,b,2\n")
    data = {"shop": {"file": str(tmp_path / "shop.csv")}, **small()["data"]}
    shown = Shown()
    StudyInputs(StudyConfig.parse(small(data=data)), data, shown)
    assert shown.lines[0] == "shop, columns: user_id = visitor_id, item_id = sku; not read: price"
    assert shown.lines[1].startswith("shop, times: none")
    assert len(shown.lines) == 2  # what is made up was not read


def test_it_tells_scores_failures_and_the_time_left(schedule):
    shown = Shown()
    progress = StudyProgress(shown, schedule, "ndcg@10")
    baseline, none, mltfr, *rest = schedule.cells
    schedule.states[baseline.name] = "done"
    schedule.trials = {none.group: 3}
    progress.start()
    assert (shown.total, shown.steps) == (9 + 3, 1)
    schedule.states |= {none.name: "done", mltfr.name: "failed"}
    schedule.seconds[none.group].append(10.0)
    progress.tried(none.group, {"trial": 2, "value": None})
    progress.finished(none, {"ndcg@10": 0.25}, 10.0)
    progress.failed(mltfr, "no room")
    assert shown.steps == 4
    assert shown.lines == [
        "1 of 9 cells are finished already.",
        "made-up / sasrec / none, trial 2: failed, about 45 s left",
        "[3/9] made-up / sasrec / none, seed 0: ndcg@10 0.2500 (10.0 s), about 45 s left",
        "[3/9] made-up / sasrec / mltfr / one, seed 0: failed: no room",
    ]
    schedule.states |= {cell.name: "done" for cell in rest}
    progress.finished(rest[-1], {"ndcg@10": 0.25}, 10.0)
    assert shown.lines[-1] == "[9/9] made-up / bert4rec / mltfr / one, seed 1: ndcg@10 0.2500 (10.0 s)"


def test_the_time_left_is_taken_from_the_nearest_relatives(schedule):
    assert schedule.time_left() is None
    groups = {cell.group[1:3]: cell.group for cell in schedule.cells}
    for cell in schedule.cells:
        schedule.states[cell.name] = "done"
    waiting = [cell for cell in schedule.cells if cell.seed == 1]
    for cell in waiting:
        del schedule.states[cell.name]
    schedule.seconds[groups["sasrec", "none"]].append(10.0)
    schedule.seconds[groups["sasrec", "mltfr"]].append(30.0)
    # bert4rec has none of its own yet, so the data set's mean counts: 10 + 30 + 20 + 20, by two jobs
    assert schedule.time_left() == pytest.approx(40.0)
    schedule.seconds[groups["bert4rec", "none"]].append(2.0)
    assert schedule.time_left() == pytest.approx((10 + 30 + 2 + 2) / 2)
    schedule.trials = {groups["sasrec", "none"]: 3}
    assert schedule.time_left() == pytest.approx((10 + 30 + 2 + 2 + 3 * 10) / 2)
    running = waiting[0]
    schedule.states[running.name] = "running"
    schedule.begin(running.name, running.group)
    schedule.running[running.name] = (running.group, time.monotonic() - 8.0)
    assert schedule.time_left() == pytest.approx((2 + 30 + 2 + 2 + 3 * 10) / 2, abs=0.1)
