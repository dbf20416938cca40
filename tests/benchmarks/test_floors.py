"""The work that floors are computed from is what torch counts on a tiny model; nothing is timed here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mltfr.inference import ModelScorer
from mltfr.model import SequentialModel
from mltfr.pipeline import resolve
from mltfr.pipeline.build import build_loss, build_model

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ITEMS, USERS, LENGTH, HIDDEN, INNER = 31, 5, 7, 8, 3
LENGTHS = np.full(USERS, LENGTH)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("harness.counts")


def _model(loss: str) -> tuple[SequentialModel, torch.nn.Module]:
    config = resolve(
        fusion="none",
        overrides=[
            f"backbone.hidden={HIDDEN}",
            f"backbone.inner={INNER}",
            "backbone.max_length=20",
            f"loss={loss}",
        ],
    )
    counted = torch.arange(ITEMS + 1)
    return build_model(config, ITEMS, ()), build_loss(config, counted.numpy())


def _shapes(counts: ModuleType) -> object:
    return counts.Shapes(ITEMS, HIDDEN, 2, INNER * HIDDEN, 20)


def _codes() -> Tensor:
    return torch.randint(1, ITEMS + 1, (USERS, LENGTH), generator=torch.Generator().manual_seed(0))


def _counted(action: object) -> int:
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        action()  # type: ignore[operator]
    return int(counter.get_total_flops())


@pytest.mark.parametrize("loss", ["cross_entropy", "bce", "bpr"])
def test_training_does_the_products_that_were_counted(counts: ModuleType, loss: str) -> None:
    model, criterion = _model(loss)
    items, targets = _codes(), _codes()

    def step() -> None:
        hidden = model.encode(items)
        each = criterion.per_position(hidden.flatten(0, 1), targets.flatten(), model.scoring_matrix())
        each.mean().backward()

    negatives = 0 if loss == "cross_entropy" else 1
    work = counts.training(_shapes(counts), LENGTHS, LENGTHS, loss, negatives, 0, USERS)
    assert _counted(step) == work.products + work.logits
    assert work.logits == (6 * USERS * LENGTH * ITEMS * HIDDEN if loss == "cross_entropy" else 0)


def test_training_on_the_last_position_does_no_less_than_was_counted(counts: ModuleType) -> None:
    model, _ = _model("bce")
    items = _codes()
    counted = _counted(lambda: model.encode(items, last=1).sum().backward())
    floor = 3 * _shapes(counts).encoder(LENGTHS, np.ones(USERS))  # type: ignore[attr-defined]
    queries_of_all = 3 * 2 * USERS * (LENGTH - 1) * HIDDEN**2
    assert floor <= counted <= floor + queries_of_all


def test_inference_does_no_less_than_was_counted(counts: ModuleType) -> None:
    model, _ = _model("bce")
    scorer = ModelScorer(model.eval())
    histories = [row.numpy().astype(np.int32) for row in _codes()]
    counted = _counted(lambda: scorer.scores(scorer.queries(histories), 1, ITEMS + 1))
    work = counts.inference(_shapes(counts), LENGTHS)
    floor = work.products + work.logits
    assert floor <= counted <= floor + 2 * USERS * (LENGTH - 1) * HIDDEN**2


def test_lengths_count_and_padding_does_not(counts: ModuleType) -> None:
    shapes = _shapes(counts)
    one, other = np.array([3]), np.array([9])
    apart = shapes.encoder(one, one) + shapes.encoder(other, other)  # type: ignore[attr-defined]
    assert shapes.encoder(np.r_[one, other], np.r_[one, other]) == apart  # type: ignore[attr-defined]
    too_long = np.array([50])
    assert shapes.encoder(too_long, one) == shapes.encoder(np.array([20]), one)  # type: ignore[attr-defined]


def test_bytes_are_those_of_adam_and_of_the_looked_up_rows(counts: ModuleType) -> None:
    work = counts.training(_shapes(counts), LENGTHS, LENGTHS, "bce", 1, 100, 2)
    steps, looked_up = 3, USERS * LENGTH * (1 + 2)
    assert work.moved == steps * 7 * 4 * 100 + looked_up * 5 * 4 * HIDDEN


def test_a_floor_adds_up_what_the_rates_allow(counts: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    floor = import_module("harness.floor")
    settings = import_module("harness.settings").Settings
    rates = dict.fromkeys(floor.NAMES, 10.0)
    told = settings(None, 1, 1, 0, "", rates=rates)
    work = counts.Work(products=20, moved=5) + counts.Work(products=10) * 2
    assert floor.floor_seconds(told, work) == 4.5
    assert floor.floor_seconds(settings(None, 1, 1, 0, ""), work) is None
