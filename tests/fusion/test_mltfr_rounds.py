"""The rounds of the default fusion: how experts start, and the consensus expert of the second."""

from __future__ import annotations

import torch

from mltfr.testing.toy import fusion_batch
from mltfr.tokens.table import PreparedTable
from support.small_mltfr import TABLES, awake, build


def test_round_2_adds_a_frozen_merged_expert() -> None:
    first = awake()
    fisher = {name: torch.rand_like(value) for name, value in first.fisher_parameters().items()}
    tensors = first.merge_experts(fisher)
    second = build()
    assert set(fisher) <= set(second.state_dict())
    second.add_consensus(tensors)
    trainable = set(dict(build().named_parameters()))
    assert set(dict(second.named_parameters())) == trainable, "the consensus expert has parameters that train"
    state = second.state_dict()
    for name, value in tensors.items():
        assert torch.equal(state[f"consensus.{name}"], value)
    assert {n for n in state if n.startswith("consensus.")} == {f"consensus.{name}" for name in tensors}
    adapter = first.experts.of("b.2").adapter.weight
    assert torch.equal(second.consensus.adapters.of("b.2").weight, adapter)
    x, mask = fusion_batch()
    delta = second.eval()(x, mask)
    assert delta.abs().max() > 0
    routed = build().eval()(x, mask)  # zero: a fresh fusion
    rows, (key, value) = second.prepare()
    query = second.query(x, mask, x.shape[1])
    everywhere = torch.arange(mask.numel())
    choices = second.choose(query, rows, everywhere, x.shape[1])
    consensus = second.consensus(x.flatten(0, 1), key, value, choices).view_as(x)
    torch.testing.assert_close(delta[mask], (routed + 0.1 * consensus)[mask])


def test_round_2_state_scores_after_loading() -> None:
    first = awake()
    second = awake()
    second.add_consensus(first.merge_experts(first.fisher_parameters()))
    state = second.state_dict()
    loaded = build(tables=[PreparedTable.placeholder(t.name, *t.shape) for t in TABLES])
    prefix = "consensus."
    loaded.add_consensus({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)})
    loaded.load_state_dict(state)
    x, mask = fusion_batch()
    assert torch.equal(loaded.eval()(x, mask), second.eval()(x, mask))


def test_adding_the_consensus_keeps_the_mode_and_draws_no_random_numbers() -> None:
    fusion = build().eval()
    before = torch.get_rng_state()
    fusion.add_consensus(awake().merge_experts(awake().fisher_parameters()))
    torch.manual_seed(1)
    assert not any(module.training for module in fusion.modules())
    torch.set_rng_state(before)
    build()
    assert torch.equal(torch.get_rng_state(), before), "building a fusion moves the global random state"


def test_all_cores_and_adapters_of_one_width_start_the_same() -> None:
    experts = build().experts
    for name, value in experts.of("a").core.state_dict().items():
        assert torch.equal(value, experts.of("b.2").core.state_dict()[name])
    assert torch.equal(experts.of("b.2").adapter.weight, experts.of("c").adapter.weight)


def test_a_table_starts_the_same_whatever_the_others_are() -> None:
    alone, together = build(tables=TABLES[1:2]).state_dict(), build().state_dict()
    own = [name for name in alone if "b%2e2" in name]
    assert own
    assert all(torch.equal(alone[name], together[name]) for name in own)


def test_rounds_follow_from_the_consensus_weight() -> None:
    assert build().rounds == 2
    assert build(consensus_weight=0).rounds == 1
