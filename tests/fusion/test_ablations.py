"""The ablations of the default preset: each takes away what it says, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch

from mltfr.fusion import FusionInputs
from mltfr.fusion.fisher import estimate_fisher
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.fusion.positions import Positions
from mltfr.testing.fusion import HIDDEN, FusionContract, random_table
from mltfr.tokens.table import PreparedTable

TABLES = [random_table("a", 40, 8), random_table("b", 30, 12), random_table("c", 50, 12)]
SMALL = {"keep": 3, "shortlist": 12}
ABLATIONS = {
    "mean router": {"router": "mean"},
    "own starts": {"common_start": False},
}


def build(is_causal: bool = True, tables: list[PreparedTable] = TABLES, **settings: object) -> MltfrFusion:
    settings["filter"] = {**SMALL, **settings.get("filter", {})}
    return MltfrFusion(MltfrConfig.parse(settings), FusionInputs(HIDDEN, is_causal, tables, seed=1))


def awake(is_causal: bool = True, **settings: object) -> MltfrFusion:
    fusion = build(is_causal, **settings)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return fusion


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return FusionContract().batch()


def names(fusion: MltfrFusion) -> set[str]:
    return {name for name, _ in fusion.named_parameters()}


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("settings", ABLATIONS.values(), ids=list(ABLATIONS))
def test_a_consensus_expert_works_with_each(settings: dict[str, object], is_causal: bool) -> None:
    first = awake(is_causal, **settings).eval()
    x, mask = batch()

    def loss(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (first(x, mask) * mask.unsqueeze(-1)).sin().sum()

    fisher = estimate_fisher(first, first.fisher_parameters(), loss, [(x, mask)])
    assert all(value.abs().max() > 0 for name, value in fisher.items())
    second = awake(is_causal, **settings).eval()
    before = second(x, mask)
    second.install_consensus(first.merge(fisher))
    assert names(second) == names(first)
    assert not torch.allclose(second(x, mask)[mask], before[mask])


@pytest.mark.parametrize("settings", ABLATIONS.values(), ids=list(ABLATIONS))
def test_the_forms_for_a_cpu_equal_the_plain_ones(settings: dict[str, object]) -> None:
    settings = {**settings, "filter": {**settings.get("filter", {}), "noise": 0.0}, "dropout": 0.0}
    fusion = awake(**settings)
    x, mask = batch()
    results = []
    for training in (True, False):
        fusion.zero_grad()
        delta = fusion.train(training)(x, mask)[mask]
        (delta * torch.arange(delta.numel()).view_as(delta).sin()).sum().backward()
        results.append([delta.detach(), *(parameter.grad.clone() for parameter in fusion.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_without_a_router_all_experts_count_the_same() -> None:
    fusion = awake(router="mean").train()
    assert names(build()) - names(fusion) == {"router.gate.weight", "router.gate.bias"}
    assert names(fusion) < names(build())
    x, mask = batch()
    fusion(x, mask)
    found = fusion.diagnostics()
    assert found["router_share"] == pytest.approx(dict.fromkeys("abc", 1 / 3))
    assert found["router_entropy"] == pytest.approx(math.log(3))
    fusion.eval()
    positions = Positions(mask.shape, x.device, by_hand=False)
    averages = {name: fusion.averages[name] for name in fusion.widths}
    selection = fusion.filters(fusion.query(x, mask).flatten(0, 1), positions, averages)
    each = fusion.experts(x.flatten(0, 1), selection)                           # [N, P, D]
    torch.testing.assert_close(fusion(x, mask), each.mean(0).view_as(x))


def test_without_a_common_start_every_expert_has_its_own() -> None:
    common, own = build().state_dict(), build(common_start=False).state_dict()
    assert list(common) == list(own)
    drawn = ("core.query.weight", "core.key.weight", "core.value.weight", "adapter.weight")
    different = {name for name in common if not torch.equal(common[name], own[name])}
    assert different == {f"experts.{table}.{name}" for table in "abc" for name in drawn}
    for name in drawn:
        assert not torch.equal(own[f"experts.b.{name}"], own[f"experts.c.{name}"])
        assert torch.equal(common[f"experts.b.{name}"], common[f"experts.c.{name}"])


def test_a_start_of_its_own_depends_on_seed_and_name_alone() -> None:
    alone = build(tables=TABLES[1:2], common_start=False).state_dict()
    together = build(tables=TABLES[::-1], common_start=False).state_dict()
    assert all(torch.equal(value, together[name]) for name, value in alone.items() if ".b." in name)
    inputs = FusionInputs(HIDDEN, True, TABLES, seed=2)
    other = MltfrFusion(MltfrConfig.parse({"filter": SMALL, "common_start": False}), inputs).state_dict()
    assert not torch.equal(other["experts.b.core.key.weight"], alone["experts.b.core.key.weight"])
