"""Adapted item vectors: the contract, whitening, and the formulas."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from mltfr.errors import ConfigError
from mltfr.fusion import FusionInputs
from mltfr.fusion.adapter import AdapterConfig, AdapterFusion
from mltfr.fusion.whitening import whiten
from mltfr.model import SequentialModel
from mltfr.testing.fusion import FusionContract
from mltfr.testing.toy import HIDDEN, ITEMS, ToyBidirectional, fusion_batch


class TestLinear(FusionContract):
    name = "adapter"
    settings: ClassVar[dict[str, Any]] = {"vectors": "v.parquet"}


class TestWhitening(FusionContract):
    name = "adapter"
    settings: ClassVar[dict[str, Any]] = {"vectors": "v.parquet", "kind": "whitening"}


class TestMoe(FusionContract):
    name = "adapter"
    settings: ClassVar[dict[str, Any]] = {"vectors": "v.parquet", "kind": "moe", "experts": 3}


def vectors(scale: float = 1.0, without: tuple[int, ...] = (0,)) -> torch.Tensor:
    mixed = torch.randn(ITEMS + 1, 9, generator=torch.Generator().manual_seed(0)) @ torch.randn(
        9, 9, generator=torch.Generator().manual_seed(1)
    )
    mixed = scale * (mixed + 3)
    mixed[list(without)] = 0
    return mixed


def awake(values: torch.Tensor, **settings: object) -> AdapterFusion:
    config = AdapterConfig.parse({"vectors": "v.parquet", **settings})
    fusion = AdapterFusion(config, FusionInputs(HIDDEN, True, (), 1, values))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return fusion.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, mask = fusion_batch()
    codes = torch.randint(1, ITEMS + 1, mask.shape, generator=torch.Generator().manual_seed(2))
    return x, mask, codes * mask


@pytest.mark.parametrize("kind", ["zca", "pca"])
def test_whitened_vectors_have_identity_covariance(kind: str) -> None:
    there = (vectors(without=(0, 4)) != 0).any(1)
    white = whiten(vectors(without=(0, 4)), there, kind)
    rows = white[there].double()
    torch.testing.assert_close(rows.mean(0), torch.zeros(9, dtype=torch.double), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.T @ rows / len(rows), torch.eye(9, dtype=torch.double), atol=1e-4, rtol=0)
    assert not white[~there].any()


def test_zca_is_the_whitening_that_is_nearest_to_the_vectors() -> None:
    values, there = vectors(), (vectors() != 0).any(1)
    centred = values[there] - values[there].mean(0)
    distance = {kind: (whiten(values, there, kind)[there] - centred).square().sum() for kind in ("zca", "pca")}
    assert distance["zca"] < distance["pca"]


def test_with_fewer_items_than_components_the_rest_is_zero() -> None:
    values = torch.randn(5, 20, generator=torch.Generator().manual_seed(0))
    white = whiten(values, torch.ones(5, dtype=torch.bool), "pca")
    variance = white.square().mean(0)
    assert (variance > 0.99).sum() == 4
    assert (variance < 1e-6).sum() == 16


@pytest.mark.parametrize(
    "settings", [{}, {"kind": "moe"}, {"kind": "whitening"}, {"kind": "whitening", "whitening": "pca"}]
)
def test_further_items_lie_where_the_adaptor_knows_the_others(settings: dict[str, str]) -> None:
    few, values = ITEMS + 1, torch.cat([vectors(without=(0, 4)), 5 * vectors(without=(0, 3))[1:]])
    before, after = awake(values[:few], **settings), awake(values, **settings)
    state = before.state_dict()
    after.continue_from(state)
    torch.testing.assert_close(after.vectors[:few], state["vectors"], atol=1e-4, rtol=1e-4)
    ones = torch.ones(few, 1)
    rows = state["there"]
    place = torch.linalg.lstsq(torch.cat([values[:few], ones], dim=1)[rows], state["vectors"][rows]).solution
    expected = (torch.cat([values[few:], ones[1:]], dim=1) @ place) * after.there[few:].unsqueeze(1)
    torch.testing.assert_close(after.vectors[few:], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["linear", "whitening"])
def test_training_does_not_go_on_with_the_vectors_of_another_file(kind: str) -> None:
    few, values = awake(vectors(), kind=kind), vectors()
    for others in (torch.randn(values.shape, generator=torch.Generator().manual_seed(1)), values[:, :-1]):
        with pytest.raises(ConfigError, match="does not hold the vectors that the run was fitted with"):
            awake(others * (values != 0).any(1, keepdim=True), kind=kind).continue_from(few.state_dict())


@pytest.mark.parametrize("kind", ["linear", "whitening", "moe"])
def test_delta_is_the_formula_of_the_item_at_the_position(kind: str) -> None:
    fusion = awake(vectors(without=(0, 4)), kind=kind, experts=3)
    x, mask, codes = batch()
    codes[mask.nonzero()[0, 0], -1] = 4  # an item without a vector
    delta = fusion(x, mask, codes).detach().numpy()
    state = {name: value.numpy() for name, value in fusion.state_dict().items()}
    out, bias = state["adaptor.output.weight"], state["adaptor.output.bias"]
    for user, place in np.ndindex(*codes.shape):
        code = int(codes[user, place])
        v = state["vectors"][code]
        if code in (0, 4):
            expected = np.zeros(HIDDEN)
        elif kind == "linear":
            expected = out @ v + bias
        elif kind == "whitening":
            expected = out @ np.maximum(state["adaptor.inner.weight"] @ v + state["adaptor.inner.bias"], 0) + bias
        else:
            gate = np.exp(v @ state["adaptor.gate"])
            each = [(v - state["adaptor.shift"][k]) @ state["adaptor.weight"][k] for k in range(3)]
            expected = out @ sum(g * e for g, e in zip(gate / gate.sum(), each, strict=True)) + bias
        np.testing.assert_allclose(delta[user, place], expected, rtol=1e-4, atol=1e-5)


def test_a_model_passes_the_codes_of_observed_items_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithMaskToken(ToyBidirectional):
        uses_mask_token = True

    fusion = awake(vectors())
    model = SequentialModel(ITEMS, WithMaskToken(), fusion).eval()
    items = torch.tensor([[0, 0, 5, 7, ITEMS + 1], [3, ITEMS + 1, 4, 1, 2]])
    seen = {}
    forward = AdapterFusion.forward

    def watch(self: AdapterFusion, x: torch.Tensor, mask: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        seen["codes"], seen["delta"] = codes, forward(self, x, mask, codes)
        return seen["delta"]

    monkeypatch.setattr(AdapterFusion, "forward", watch)
    model.encode(items)
    assert seen["codes"].tolist() == [[0, 0, 5, 7, 0], [3, 0, 4, 1, 2]]
    assert torch.equal(seen["delta"].abs().sum(-1) > 0, seen["codes"] > 0)


def test_the_gate_is_noisy_in_training_only() -> None:
    fusion = awake(vectors(), kind="moe", dropout=0.0)
    assert torch.equal(fusion(*batch()), fusion(*batch()))
    fusion.train()
    assert not torch.equal(fusion(*batch()), fusion(*batch()))


def test_the_scale_of_the_vectors_does_not_matter() -> None:
    small, large = (awake(vectors(scale), kind="linear")(*batch()) for scale in (0.01, 100.0))
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-5)


def test_what_is_needed_is_said() -> None:
    with pytest.raises(ConfigError, match="Give a Parquet or safetensors file with --item-vectors FILE"):
        AdapterConfig.parse({})
    with pytest.raises(ConfigError, match="--item-vectors FILE"):
        AdapterFusion(AdapterConfig(vectors="v.parquet"), FusionInputs(HIDDEN, True))
    with pytest.raises(ValueError, match="reads the item codes"):
        awake(vectors())(*batch()[:2])
