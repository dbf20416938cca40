"""A step of training asks as inference does: with item vectors that no dropout has touched."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mltfr.backbones import BACKBONES
from mltfr.fusion import FusionInputs
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.model import SequentialModel
from mltfr.testing.toy import ITEMS, random_table

HIDDEN = 16
TABLE = random_table("t", 200, 12)


def build(backbone: str, **settings: object) -> SequentialModel:
    torch.manual_seed(0)
    entry = BACKBONES.get(backbone)
    dropouts = {"dropout": 0.5, "item_dropout": 0.3}
    encoder = entry.cls(entry.config.model_validate({"name": backbone, "hidden": HIDDEN, **dropouts}))
    config = MltfrConfig.parse({"filter": {"keep": 8, "shortlist": 200, "noise": 0.0, **settings}})
    return SequentialModel(ITEMS, encoder, MltfrFusion(config, FusionInputs(HIDDEN, encoder.is_causal, [TABLE], 1)))


def histories() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    mask = torch.arange(7) >= torch.randint(0, 7, (20, 1), generator=generator)
    return torch.randint(1, ITEMS + 1, mask.shape, generator=generator) * mask


def kept(model: SequentialModel, codes: Tensor, training: bool) -> Tensor:
    """Return the tokens that a pass of the model keeps, sorted, `[Q, K]`."""
    found: list[Tensor] = []

    def watch(_: Any, inputs: tuple[Any, ...], choice: Any) -> None:
        found.append(choice.kept.rows.sort(-1).values)

    handle = model.fusion.filters.of("t").register_forward_hook(watch)
    model.train(training).encode(codes)
    handle.remove()
    (rows,) = found
    return rows


def same(here: Tensor, there: Tensor) -> float:
    """Return the share of the tokens here that are there too."""
    return float((here.unsqueeze(-1) == there.unsqueeze(-2)).any(-1).float().mean())


@pytest.mark.parametrize("backbone", ["sasrec", "gru4rec", "bert4rec"])
def test_training_keeps_what_inference_keeps(backbone: str) -> None:
    model, codes = build(backbone), histories()
    assert torch.equal(kept(model, codes, training=True), kept(model, codes, training=False))


def test_a_query_of_the_input_keeps_others_in_training() -> None:
    model, codes = build("sasrec", query_from="input"), histories()
    assert same(kept(model, codes, training=True), kept(model, codes, training=False)) < 0.8


def test_no_place_in_the_history_asks_for_itself() -> None:
    """Items ask, not positions: a history of one item twice asks at both positions with that item."""
    model = build("sasrec").eval()
    rows = kept(model, torch.tensor([[5, 5]]), training=False)
    assert torch.equal(rows[0], rows[1])


def test_the_refresh_and_kept_tokens_ask_alike() -> None:
    model, codes = build("sasrec").eval(), histories()
    mask = codes != 0
    ids, _ = model.fusion.kept_tokens(*model.fusion_inputs(codes))["t"]
    assert torch.equal(ids[mask].sort(-1).values, kept(model, codes, training=False))


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_stability_is_the_share_that_inference_keeps_too(noise: float) -> None:
    model, codes = build("sasrec", noise=noise), histories()[:8].clamp(min=1)[:, :1]   # 8 queries: all of them count
    expected = same(kept(model, codes, training=True), kept(model, codes, training=False))
    assert model.fusion.diagnostics()["filter_stability"]["t"] == pytest.approx(expected)
    assert (expected == 1.0) == (noise == 0.0)


def test_nothing_is_called_stable_where_training_asks_otherwise() -> None:
    model = build("sasrec", query_from="input")
    assert same(kept(model, histories(), training=True), kept(model, histories(), training=False)) < 0.8
    assert "filter_stability" not in model.fusion.diagnostics()
