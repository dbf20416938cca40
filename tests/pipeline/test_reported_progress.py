"""What a fit reports while it validates, scores, and fits baselines: nothing that may take long is silent."""

from __future__ import annotations

import pytest

from mltfr.pipeline import fit, resolve
from mltfr.training import Callback
from support.walks import as_log, rows, walks

LOG = as_log(rows(walks()))
SMALL = ("backbone.hidden=16", "backbone.max_length=10", "training.batch_size=32", "training.samples=positions")


class Tasks(Callback):
    """Keeps the tasks that were started, each with its extent and the steps that were reported."""

    def __init__(self):
        self.tasks, self.open = [], False

    def start(self, task, total=None, done=0):
        self.tasks.append([task, total, done])
        self.open = True

    def advance(self, steps=1):
        assert self.open
        self.tasks[-1][2] += steps

    def close(self):
        self.open = False


@pytest.mark.parametrize(("backbone", "begun", "evaluations"), [
    ("sasrec", [], 2 + 2 + 3 * 2),  # two epochs, validation and test, and those of three quick baselines
    ("ease", ["fitting ease"], 2 + 3 * 2),
])  # fmt: skip
def test_a_fit_reports_what_it_measures(backbone, begun, evaluations):
    more = {"epochs": 2, "overrides": SMALL} if backbone == "sasrec" else {}
    seen = Tasks()
    fit(resolve(backbone=backbone, fusion="none", **more), LOG, callback=seen)
    names = [task for task, *_ in seen.tasks]
    assert names == begun + ["evaluating"] * evaluations
    assert all(done == total for _, total, done in seen.tasks[len(begun) :])
    assert not seen.open
