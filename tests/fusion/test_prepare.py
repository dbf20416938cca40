"""What is prepared for inference changes no result; without it, weights and shortlists count as they are."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

from mltfr.fusion import FusionInputs
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.testing.toy import HIDDEN, fusion_batch, random_table

TABLES = [random_table("a", 140, 8), random_table("b.2", 30, 12), random_table("c", 130, 12)]
FILTER = {"keep": 3, "shortlist": 128}


def build(is_causal: bool = True, consensus: bool = True, **settings: object) -> MltfrFusion:
    config = MltfrConfig.parse({"filter": FILTER, "consensus_group": ["a", "c"], "consensus_weight": 0.3, **settings})
    fusion = MltfrFusion(config, FusionInputs(HIDDEN, is_causal, TABLES, seed=1))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    if consensus:
        fusion.add_consensus(fusion.merge_experts(fusion.fisher_parameters()))
    return fusion.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return fusion_batch()


def delta(fusion: MltfrFusion) -> torch.Tensor:
    x, mask = batch()
    with torch.no_grad():
        return fusion(x, mask)[mask]


def load(fusion: MltfrFusion) -> None:
    fusion.load_state_dict({name: value * 0.5 for name, value in fusion.state_dict().items()})


def replace_consensus(fusion: MltfrFusion) -> None:
    merged = fusion.merge_experts(fusion.fisher_parameters())
    fusion.add_consensus({name: value * 0.5 for name, value in merged.items()})


def refresh(fusion: MltfrFusion) -> None:
    fusion.refresh([fusion_batch(seed=8)])


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("granularity", ["position", "sequence", "static"])
@pytest.mark.parametrize("group", [["a", "c"], []])
def test_what_is_prepared_changes_no_result(is_causal: bool, granularity: str, group: list[str]) -> None:
    fusion = build(is_causal, filter={**FILTER, "granularity": granularity}, consensus_group=group)
    x, mask = batch()
    with torch.inference_mode():
        prepared = fusion.prepare()
        for count in (1, 3, x.shape[1]):
            torch.testing.assert_close(fusion.last(x, mask, count, prepared=prepared), fusion.last(x, mask, count))
    assert delta(fusion).abs().max() > 0.1


def test_what_is_prepared_is_what_it_was() -> None:
    fusion = build()
    x, mask = batch()
    with torch.inference_mode():
        prepared = fusion.prepare()
        before = fusion(x, mask, prepared=prepared)
    with torch.no_grad():
        for expert in fusion.experts.each():
            expert.adapter.weight.mul_(0.5)
    with torch.inference_mode():
        assert torch.equal(fusion(x, mask, prepared=prepared), before), "it holds keys and values, not the adapters"
        assert not torch.allclose(fusion(x, mask, prepared=fusion.prepare()), before)


@pytest.mark.parametrize("change", [load, refresh, replace_consensus, lambda fusion: fusion.double().float()])
@pytest.mark.parametrize("training", [True, False])
def test_a_change_is_seen_at_once(change: Callable[[MltfrFusion], object], training: bool) -> None:
    fusion = build(dropout=0.0, filter={**FILTER, "noise": 0.0}).train(training)
    before = delta(fusion)
    change(fusion)
    after = delta(fusion)
    torch.testing.assert_close(after, delta(copy.deepcopy(fusion)))
    assert torch.equal(after, before) == (change not in (load, refresh, replace_consensus))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda fusion: pickle.loads(pickle.dumps(fusion))])
def test_a_copy_stands_alone(copied: Callable[[MltfrFusion], MltfrFusion]) -> None:
    fusion = build()
    before = delta(fusion)
    other = copied(fusion)
    assert torch.equal(delta(other), before)
    load(other)
    assert not torch.equal(delta(other), before)
    assert torch.equal(delta(fusion), before)
    other.train()(*batch())
    assert "router_share" in other.diagnostics()
    assert "router_share" not in fusion.diagnostics(), "the copy logs for its original"


def test_scoring_and_training_in_turn() -> None:
    fusion = build()
    x, mask = batch()
    with torch.inference_mode():
        fusion(x, mask, prepared=fusion.prepare())
        fusion.train()(x, mask)
    fusion.train()(x, mask).sum().backward()
    assert all(parameter.grad is not None for parameter in fusion.parameters())
