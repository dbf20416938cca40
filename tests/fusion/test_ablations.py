"""The ablations of the default preset: each takes away what it says, and nothing else."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from mltfr.errors import ConfigError
from mltfr.fusion import FusionInputs
from mltfr.fusion.fisher import estimate_fisher
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.interactions import Histories
from mltfr.kernels import plain_twins
from mltfr.model import SequentialModel
from mltfr.testing.toy import HIDDEN, ToyBackbone, fusion_batch, random_table
from mltfr.tokens.table import PreparedTable
from mltfr.training import TrainingConfig
from mltfr.training.samples import PrefixSamples, WindowSamples, make_samples

TABLES = [random_table("a", 40, 8), random_table("b", 30, 12), random_table("c", 50, 12)]
SMALL = {"keep": 3, "shortlist": 12}
ABLATIONS = {
    "mean router": {"router": "mean"},
    "own starts": {"common_start": False},
    "one query a sequence": {"filter": {"granularity": "sequence"}},
    "no filter": {"filter": {"granularity": "static"}},
    "all of them": {"filter": {"granularity": "static"}, "router": "mean", "common_start": False},
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
    return fusion_batch()


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
    second.add_consensus(first.merge_experts(fisher))
    assert names(second) == names(first)
    assert not torch.allclose(second(x, mask)[mask], before[mask])


@pytest.mark.parametrize("settings", ABLATIONS.values(), ids=list(ABLATIONS))
def test_kernels_change_no_result(settings: dict[str, object]) -> None:
    settings = {**settings, "filter": {**settings.get("filter", {}), "noise": 0.0}, "dropout": 0.0}
    fusion = awake(**settings)
    x, mask = batch()
    results = []
    for twins in (False, True):
        fusion.zero_grad()
        with plain_twins() if twins else nullcontext():
            delta = fusion(x, mask)[mask]
        (delta * torch.arange(delta.numel()).view_as(delta).sin()).sum().backward()
        results.append([delta.detach(), *(parameter.grad.clone() for parameter in fusion.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("settings", [{}, *ABLATIONS.values()], ids=["default", *ABLATIONS])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_nothing_in_a_step_asks_for_a_value(
    settings: dict[str, Any], is_causal: bool, noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On torch's `meta` device nothing has one: a CUDA graph captures no step that does. Diagnostics included."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # torch knows none of this device
    fusion = awake(is_causal, **{**settings, "filter": {**settings.get("filter", {}), "noise": noise}})
    fusion.add_consensus(fusion.merge_experts(fusion.fisher_parameters()))
    fusion.train().to("meta")
    x, mask = (tensor.to("meta") for tensor in fusion_batch())
    fusion(x, mask).sum().backward()
    fusion.last(x, mask, 1).sum().backward()
    assert all(parameter.grad is not None for parameter in fusion.parameters())


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
    rows, _ = fusion.prepare()
    query = fusion.query(x, mask, x.shape[1])
    choices = fusion.choose(query, rows, torch.arange(mask.numel()), x.shape[1])
    each = torch.stack([
        expert.core(x.flatten(0, 1), table.key, table.value, choice)
        for expert, table, choice in zip(fusion.experts.each(), rows, choices, strict=True)
    ])  # [N, P, D]
    torch.testing.assert_close(fusion(x, mask)[mask], each.mean(0).view_as(x)[mask])


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


def test_a_user_keeps_the_same_tokens_at_all_positions() -> None:
    fusion = awake(filter={"granularity": "sequence"}).eval()
    x, mask = batch()
    by_position = awake().eval().kept_tokens(x, mask)
    for name, (ids, weights) in fusion.kept_tokens(x, mask).items():
        kept = torch.zeros(*mask.shape, 50).scatter_(-1, ids, weights)          # [B, L, V]
        last = kept[:, -1:].expand_as(kept)
        torch.testing.assert_close(kept[mask], last[mask])
        assert len(last[:, 0].unique(dim=0)) > 1, "all users keep the same"
        ids, weights = (part[:, -1] for part in by_position[name])  # the last knows the whole history
        torch.testing.assert_close(last[:, 0], torch.zeros(len(x), 50).scatter_(-1, ids, weights))


def test_a_bidirectional_backbone_always_asks_once_a_user() -> None:
    x, mask = batch()
    by_user, by_position = awake(False, filter={"granularity": "sequence"}), awake(False)
    assert torch.equal(by_user.eval()(x, mask), by_position.eval()(x, mask))
    assert not by_user.needs_prefixes


def test_a_query_of_the_user_is_never_trained_on_whole_histories() -> None:
    histories = Histories.from_sequences([[1, 2, 3], [3, 2, 1, 4]])
    fusion = awake(filter={"granularity": "sequence"}).eval()
    model = SequentialModel(9, ToyBackbone(), fusion)
    codes = torch.tensor([[1, 2, 3, 4]])
    changed = torch.tensor([[1, 2, 3, 5]])
    assert not torch.allclose(model.encode(codes)[:, :3], model.encode(changed)[:, :3]), "it could be"
    with pytest.raises(ConfigError, match=r"lets MltfrFusion see its targets.*Use training\.samples = 'prefixes'"):
        make_samples(TrainingConfig(samples="positions"), model, histories)
    assert isinstance(make_samples(TrainingConfig(samples="prefixes"), model, histories), PrefixSamples)
    for granularity in ("position", "static"):
        model = SequentialModel(9, ToyBackbone(), build(filter={"granularity": granularity}))
        assert isinstance(make_samples(TrainingConfig(samples="positions"), model, histories), WindowSamples)


def test_a_user_does_not_ask_with_a_decaying_query() -> None:
    with pytest.raises(ConfigError, match=r"granularity = 'sequence' asks once\. Set query to 'mean'"):
        build(filter={"granularity": "sequence", "query": "exponential"})


@pytest.mark.parametrize("is_causal", [True, False])
def test_without_a_filter_everybody_keeps_the_same_random_tokens(is_causal: bool) -> None:
    fusion = awake(is_causal, filter={"granularity": "static"}).train()
    assert not [name for name in names(fusion) if name.startswith("filters.")]
    x, mask = batch()
    fusion(x, mask)
    fusion.refresh([(x, mask)])
    fusion.set_progress(1)
    for table, (ids, weights) in zip(TABLES, fusion.kept_tokens(x, mask).values(), strict=True):
        kept = ids[mask]                                                        # [P, K]
        assert (kept == kept[0]).all()
        assert len(kept[0].unique()) == SMALL["keep"]
        torch.testing.assert_close(weights[mask], torch.full(kept.shape, 1 / SMALL["keep"]))
        vectors = torch.tensor(table.vectors[kept[0]].astype("float32")) * table.shape[1] ** 0.5
        torch.testing.assert_close(fusion.filters.of(table.name).shortlist.vectors, vectors)
    found = fusion.diagnostics()
    assert found["filter_entropy"] == pytest.approx(dict.fromkeys("abc", math.log(SMALL["keep"])))
    assert "filter_scale" not in found


def test_without_a_filter_there_is_no_stability() -> None:
    fusion = awake(tables=[random_table("as-wide", 40, HIDDEN)], filter={"granularity": "static"}).train()
    fusion(*batch())
    assert "filter_stability" not in fusion.diagnostics()


def test_tokens_that_nobody_chose_follow_from_the_seed() -> None:
    config = MltfrConfig.parse({"filter": {**SMALL, "granularity": "static"}})
    drawn = [
        MltfrFusion(config, FusionInputs(HIDDEN, True, TABLES, seed=seed)).filters.of("c").shortlist.ids.tolist()
        for seed in (1, 1, 2, 3, 4)
    ]
    assert drawn[0] == drawn[1]
    assert len({tuple(ids) for ids in drawn}) == 4
    assert max(max(ids) for ids in drawn) > 2 * SMALL["shortlist"], "not from the whole vocabulary"
    with pytest.raises(ConfigError, match="keep is 3, but token table 'tiny' has 2 tokens"):
        build(tables=[random_table("tiny", 2)], filter={"granularity": "static"})
