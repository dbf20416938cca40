"""A filter that moves: faster than the rest, with queries that turn, and noise that ends after so many steps."""

from __future__ import annotations

import pytest
import torch

from mltfr.model import SequentialModel
from mltfr.testing.toy import HIDDEN, ITEMS, ToyBackbone, fusion_batch
from mltfr.training import TrainingConfig
from mltfr.training.optim import make_optimizer
from support.small_mltfr import SMALL, awake, build


def moved(**settings: object) -> dict[str, float]:
    """Return how far Adam moves the parameters of a model in its second step, as a multiple of the learning rate."""
    torch.manual_seed(0)
    model = SequentialModel(ITEMS, ToyBackbone(), awake(filter={**SMALL, **settings}))
    optimizer = make_optimizer(TrainingConfig(learning_rate=1e-4), model)
    codes = torch.randint(1, ITEMS + 1, (6, 5))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    model.encode(codes).sin().sum().backward()
    optimizer.step()
    return {name: (value - before[name]).abs().max().item() / 1e-4 for name, value in model.named_parameters()}


def test_the_filters_projections_move_faster_than_the_rest() -> None:
    for name, steps in moved(rate_factor=10.0).items():
        assert steps == pytest.approx(10.0 if "projection." in name or "project." in name else 1.0, rel=0.05), name


def test_it_need_not() -> None:
    assert all(steps == pytest.approx(1.0, rel=0.05) for steps in moved(rate_factor=1.0).values())


def test_queries_start_as_the_mean_of_the_history_and_turn() -> None:
    x, mask = fusion_batch()
    fresh = build()
    plain = build(filter={**SMALL, "query_projection": False})
    assert torch.equal(fresh.query(x, mask, x.shape[1]), plain.query(x, mask, x.shape[1]))
    assert set(fresh.state_dict()) - set(plain.state_dict()) == {"project.weight"}
    with torch.no_grad():
        fresh.project.weight.copy_(torch.eye(HIDDEN).roll(1, 0))
    turned = fresh.query(x, mask, x.shape[1])
    torch.testing.assert_close(turned, plain.query(x, mask, x.shape[1]).roll(1, -1))


def test_without_a_filter_nothing_asks() -> None:
    fusion = build(filter={**SMALL, "granularity": "static"})
    assert not [name for name, _ in fusion.named_parameters() if name.startswith("project.")]


def test_queries_are_exact_under_autocast() -> None:
    fusion = awake()
    x, mask = fusion_batch()
    expected = fusion.query(x, mask, x.shape[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fusion.query(x, mask, x.shape[1]), expected)
