"""What scoring remembers of the weights: it changes no result, and no changed weight is missed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

from mltfr.fusion import FusionInputs
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.testing.fusion import HIDDEN, FusionContract, random_table

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
        fusion.install_consensus(fusion.merge(fusion.fisher_parameters()))
    return fusion.eval()


def remembered(fusion: MltfrFusion) -> torch.Tensor:
    x, mask = batch(fusion)
    with torch.inference_mode():
        return fusion(x, mask)[mask].clone()


def computed(fusion: MltfrFusion) -> torch.Tensor:
    x, mask = batch(fusion)
    with torch.no_grad():
        return fusion(x, mask)[mask]


def batch(fusion: MltfrFusion) -> tuple[torch.Tensor, torch.Tensor]:
    x, mask = FusionContract().batch()
    return x.to(fusion.router.gate.weight.dtype), mask


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("chosen_by", ["position", "user", "nobody"])
@pytest.mark.parametrize("group", [["a", "c"], []])
def test_nothing_remembered_changes_a_result(is_causal: bool, chosen_by: str, group: list[str]) -> None:
    fusion = build(is_causal, filter={**FILTER, "chosen_by": chosen_by}, consensus_group=group)
    assert computed(fusion).abs().max() > 0.1
    torch.testing.assert_close(remembered(fusion), computed(fusion), rtol=1e-5, atol=1e-5)
    assert torch.equal(remembered(fusion), remembered(fusion))


def test_it_is_computed_once() -> None:
    fusion = build()
    remembered(fusion)
    with torch.inference_mode():
        first = fusion._known(torch.zeros(1))
        assert first is not None
        assert fusion._known(torch.zeros(1)) is first
        assert fusion.eval()._known(torch.zeros(1)) is first
    assert fusion._known(torch.zeros(1)) is None, "with a gradient nothing may be remembered"
    with torch.inference_mode():
        assert fusion.train()._known(torch.zeros(1)) is None
        assert fusion.eval()._known(torch.zeros(1)) is not first


def test_every_changed_weight_is_seen() -> None:
    fusion = build()
    before = remembered(fusion)
    tensors = {**dict(fusion.named_parameters()), **dict(fusion.named_buffers())}
    unread = {name for name in tensors if name.endswith(("shortlist.ids", "noise_level"))}
    assert len(tensors) > 50
    for name in set(tensors) - unread:
        kept = tensors[name].detach().clone()
        with torch.no_grad():
            tensors[name].mul_(0.5).add_(0.05)
        changed = remembered(fusion)
        assert not torch.equal(changed, before), name
        torch.testing.assert_close(changed, computed(fusion), rtol=1e-5, atol=1e-5)
        with torch.no_grad():
            tensors[name].copy_(kept)
        assert torch.equal(remembered(fusion), before), name


def step(fusion: MltfrFusion, **options: bool) -> None:
    x, mask = batch(fusion)
    optimiser = torch.optim.Adam(fusion.parameters(), lr=0.1, **options)
    fusion(x, mask).square().sum().backward()
    optimiser.step()


def load(fusion: MltfrFusion) -> None:
    fusion.load_state_dict({name: value * 0.5 for name, value in fusion.state_dict().items()})


def assign(fusion: MltfrFusion) -> None:
    fusion.load_state_dict({name: value * 0.5 for name, value in fusion.state_dict().items()}, assign=True)


def replace(fusion: MltfrFusion) -> None:
    for parameter in fusion.parameters():
        parameter.data = parameter.data * 0.5


def train_a_little(fusion: MltfrFusion) -> None:
    fusion.train()
    for parameter in fusion.parameters():
        parameter.data.mul_(0.5)  # torch counts no version here
    fusion.eval()


CHANGES: dict[str, Callable[[MltfrFusion], object]] = {
    "a step": step,
    "a fused step": lambda fusion: step(fusion, fused=True),
    "a step over all at once": lambda fusion: step(fusion, foreach=True),
    "load_state_dict": load,
    "load_state_dict, assigned": assign,
    "data": replace,
    "training": train_a_little,
    "refresh": lambda fusion: fusion.refresh([FusionContract().batch(seed=8)]),
    "install_consensus": lambda fusion: fusion.install_consensus(
        {name: value * 0.5 for name, value in fusion.merge(fusion.fisher_parameters()).items()}
    ),
    "double": lambda fusion: fusion.double(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(change: str) -> None:
    fusion = build()
    before = remembered(fusion)
    CHANGES[change](fusion)
    after = remembered(fusion)
    torch.testing.assert_close(after, computed(fusion), rtol=1e-5, atol=1e-5)
    assert not torch.equal(after.float(), before)


def test_the_first_consensus_is_seen() -> None:
    fusion = build(consensus=False)
    before = remembered(fusion)
    fusion.install_consensus(fusion.merge(fusion.fisher_parameters()))
    torch.testing.assert_close(remembered(fusion), computed(fusion), rtol=1e-5, atol=1e-5)
    assert not torch.equal(remembered(fusion), before)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda fusion: pickle.loads(pickle.dumps(fusion))])
def test_a_copy_remembers_nothing_of_its_original(copied: Callable[[MltfrFusion], MltfrFusion]) -> None:
    fusion = build()
    before = remembered(fusion)
    other = copied(fusion)
    load(other)
    torch.testing.assert_close(remembered(other), computed(other), rtol=1e-5, atol=1e-5)
    assert torch.equal(remembered(fusion), before)


def test_the_consensus_expert_reads_a_refreshed_shortlist_in_training() -> None:
    """Its keys and values are remembered in training too, since no gradient changes them."""
    fusion = build(dropout=0.0, filter={**FILTER, "noise": 0.0})
    x, mask = batch(fusion)
    fusion.train()(x, mask)[mask].sum().backward()
    for change in ("refresh", "load_state_dict", "install_consensus"):
        before = fusion(x, mask)[mask]
        CHANGES[change](fusion)
        after = fusion(x, mask)[mask]
        assert not torch.equal(after, before)
        torch.testing.assert_close(after, copy.deepcopy(fusion)(x, mask)[mask])
        torch.testing.assert_close(after, computed(fusion.eval()), rtol=1e-5, atol=1e-5)
        fusion.train()


def test_scoring_and_training_in_turn() -> None:
    """What is remembered while scoring cannot be used where gradients are."""
    fusion = build()
    remembered(fusion)
    computed(fusion)
    x, mask = batch(fusion)
    with torch.inference_mode():
        fusion.train()(x, mask)
    fusion.train()(x, mask).sum().backward()
    assert all(parameter.grad is not None for parameter in fusion.parameters())


def test_scoring_under_autocast_remembers_nothing() -> None:
    fusion = build()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert fusion._known(torch.zeros(1)) is None
