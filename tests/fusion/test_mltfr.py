"""The default fusion: routing, noise, diagnostics and configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

from mltfr.config import Config
from mltfr.errors import ConfigError
from mltfr.fusion.fisher import estimate_fisher
from mltfr.fusion.mltfr import MltfrConfig
from mltfr.fusion.mltfr.shortlist import keep_best
from mltfr.fusion.tables import ByTable
from mltfr.kernels import plain_twins
from mltfr.testing.toy import HIDDEN, fusion_batch, random_table
from support.small_mltfr import SMALL, TABLES, awake, build


def test_router_weights_sum_to_one_and_can_exceed_nine_tenths() -> None:
    fusion = build()
    x, _ = fusion_batch()
    weights = fusion.router(x)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / 3))
    with torch.no_grad():
        fusion.router.gate.bias[1] = 5.0
    assert (fusion.router(x)[..., 1] > 0.9).all()


@pytest.mark.parametrize("is_causal", [True, False])
def test_forward_equals_a_loop_over_the_positions(is_causal: bool) -> None:
    """The whole of round 1 and 2 from the definitions, one position at a time, in double precision."""
    fusion = awake(is_causal, consensus_group=["a", "c"], consensus_weight=0.3).eval().double()
    fusion.add_consensus({k: v + 0.1 for k, v in fusion.merge_experts(fusion.fisher_parameters()).items()})
    x, mask = fusion_batch()
    x = x.double()
    delta = fusion(x, mask)

    def attend(core, position, rows, log_weight, null):
        heads, width = fusion.config.heads, HIDDEN // fusion.config.heads
        query, keys, values = core.query(position), core.key(rows), core.value(rows)
        read = []
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            logits = keys[:, part] @ query[part] / math.sqrt(width) + log_weight
            read.append(torch.softmax(torch.cat([logits, null.view(1)]), 0)[:-1] @ values[:, part])
        return core.output(torch.cat(read))

    for user in range(len(x)):
        observed = [t for t in range(x.shape[1]) if mask[user, t]]
        for t in observed:
            seen = [s for s in observed if s <= t] if is_causal else observed
            query = fusion.project.weight @ x[user, seen].mean(0)
            router = torch.softmax(fusion.router.gate(x[user, t]), 0)
            expected = torch.zeros(HIDDEN, dtype=torch.double)
            rows_of_group, weight_of_group, null_of_group = [], [], []
            for n, name in enumerate(fusion.widths):
                token_filter, expert = fusion.filters.of(name), fusion.experts.of(name)
                vectors = token_filter.shortlist.vectors
                projected = token_filter.projection(vectors)
                cosine = torch.stack([torch.cosine_similarity(query, token, dim=0) for token in projected])
                kept = sorted(range(len(cosine)), key=lambda m: -cosine[m].item())[: fusion.config.filter.keep]
                score = token_filter.log_scale.exp() * cosine
                whole = score.exp().sum()
                log_weight = (score[kept].exp() / whole).log()
                null = (1 - score[kept].exp().sum() / whole).log()
                expected = expected + router[n] * attend(
                    expert.core, x[user, t], expert.adapter(vectors[kept]), log_weight, null
                )
                if name in ("a", "c"):
                    rows_of_group.append(fusion.consensus.adapters.of(name)(vectors[kept]))
                    weight_of_group.append(log_weight)
                    null_of_group.append(null.exp())
            consensus = attend(
                fusion.consensus.core,
                x[user, t],
                torch.cat(rows_of_group),
                torch.cat(weight_of_group),
                torch.stack(null_of_group).sum().log(),
            )
            expected = expected + 0.3 * consensus
            torch.testing.assert_close(delta[user, t], expected)


def test_exponential_query_decays_over_the_prefix() -> None:
    fusion = build(filter={**SMALL, "query": "exponential", "query_decay": 0.5})
    x, mask = fusion_batch()
    query = fusion.query(x, mask, x.shape[1])
    user = int(mask.sum(1).argmax())
    places = mask[user].nonzero().flatten()
    running = torch.zeros(HIDDEN)
    for t in places:
        running = 0.5 * running + x[user, t]
        torch.testing.assert_close(query[user, t], torch.nn.functional.normalize(running, dim=0))


@pytest.mark.parametrize(("is_causal", "query"), [(True, "mean"), (True, "exponential"), (False, "mean")])
def test_what_stands_at_padding_asks_for_nothing(is_causal: bool, query: str) -> None:
    fusion = awake(is_causal, filter={**SMALL, "query": query}).eval()
    x, mask = fusion_batch()
    filled = x.masked_fill(~mask.unsqueeze(-1), 7.0)
    torch.testing.assert_close(fusion(filled, mask)[mask], fusion(x, mask)[mask])


def test_noise_is_only_in_training_and_ends_when_it_should() -> None:
    fusion = awake(filter={**SMALL, "noise": 5.0, "noise_steps": 200}, dropout=0.0)
    x, mask = fusion_batch()
    quiet = fusion.eval()(x, mask)[mask]
    fusion.train()
    assert not torch.allclose(fusion(x, mask)[mask], quiet)
    fusion.set_progress(100)
    assert fusion.filters.of("a").noise == 2.5
    fusion.set_progress(200)
    torch.testing.assert_close(fusion(x, mask)[mask], quiet)


def test_noise_changes_the_choice_but_not_the_score_of_the_kept() -> None:
    fusion = awake(filter={**SMALL, "noise": 5.0}).train()
    x, mask = fusion_batch()
    query = fusion.query(x, mask, x.shape[1])[mask]
    users = mask.nonzero()[:, 0]
    for token_filter in fusion.filters.each():
        tokens = token_filter.tokens(token_filter.shortlist.vectors)
        choice = token_filter(query, tokens, users, len(x))
        score = query @ tokens.T                                                # [P, M]
        torch.testing.assert_close(choice.log_weight, score.log_softmax(-1).gather(1, choice.kept.rows))
        assert not torch.equal(choice.kept.rows.sort().values, score.topk(3).indices.sort().values)


@pytest.mark.parametrize("twins", [nullcontext, plain_twins])
def test_scores_keep_full_precision_under_autocast(twins: Callable[[], AbstractContextManager[None]]) -> None:
    query, tokens = torch.randn(40, 64), 14 * torch.nn.functional.normalize(torch.randn(50, 64), dim=-1)
    tokens.requires_grad_()
    with twins(), torch.autocast("cpu", dtype=torch.bfloat16):
        kept, score, rest = keep_best(query, tokens, 8, None, torch.zeros(40, dtype=torch.long), with_rest=True)
    torch.testing.assert_close(score, (query @ tokens.T).gather(1, kept.rows))
    others = (query @ tokens.T).detach().scatter(1, kept.rows, -torch.inf)
    torch.testing.assert_close(rest, others.logsumexp(1))
    assert score.requires_grad
    assert not rest.requires_grad


def test_noise_is_gumbels_and_follows_the_seed() -> None:
    token_filter = awake(filter={**SMALL, "noise": 2.0}).filters.of("a")
    torch.manual_seed(0)
    noise = token_filter.gumbel(1000, 300)
    assert torch.isfinite(noise).all()
    standard = noise / 2.0
    assert abs(standard.mean().item() - 0.5772) < 0.01
    assert abs(standard.std().item() - math.pi / 6**0.5) < 0.01
    for value in (-1.5, 0.0, 1.0, 4.0):
        assert abs((standard < value).float().mean().item() - math.exp(-math.exp(-value))) < 0.003
    torch.manual_seed(0)
    assert torch.equal(token_filter.gumbel(1000, 300), noise)


@pytest.mark.parametrize("is_causal", [True, False])
def test_kernels_change_no_result(is_causal: bool) -> None:
    """Training computes with them, and the Fisher information with their plain twins."""
    tables = [random_table("a", 140, 8), random_table("b.2", 30, 12), random_table("c", 130, 12)]
    settings = {"keep": 3, "shortlist": 128, "noise": 0.0}  # enough for the kernel of top_k
    fusion = awake(is_causal, tables=tables, filter=settings, dropout=0.0, consensus_group=["a", "c"])
    fusion.add_consensus(fusion.merge_experts(fusion.fisher_parameters()))
    x, mask = fusion_batch()
    results = []
    for twins in (False, True):
        leaf = x.clone().requires_grad_()
        with plain_twins() if twins else nullcontext():
            delta = fusion(leaf, mask)[mask]
        weight = torch.arange(delta.numel()).view_as(delta).sin()
        fusion.zero_grad()
        (delta * weight).sum().backward()
        results.append([delta.detach(), leaf.grad, *(p.grad.clone() for p in fusion.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(fusion(x, mask)[mask], results[0][0], rtol=1e-4, atol=1e-5)

    def loss(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (fusion(x, mask) * mask.unsqueeze(-1)).sin().sum()

    names = fusion.fisher_parameters()
    expected = {name: torch.zeros_like(value) for name, value in names.items()}
    for user in range(len(x)):
        gradients = torch.autograd.grad(loss(x[user : user + 1], mask[user : user + 1]), list(names.values()))
        for name, gradient in zip(names, gradients, strict=True):
            expected[name] += gradient.square() / len(x)
    for name, fisher in estimate_fisher(fusion, names, loss, [(x, mask)]).items():
        torch.testing.assert_close(fisher, expected[name], rtol=1e-4, atol=1e-6)


def test_diagnostics_of_training() -> None:
    fusion = awake().train()
    for _ in range(3):
        fusion(*fusion_batch())
    found = fusion.diagnostics()
    assert sum(found["router_share"].values()) == pytest.approx(1.0)
    assert 0 <= found["router_entropy"] <= math.log(3) + 1e-6
    assert found["dead_experts"] == 0
    assert all(0 <= value <= math.log(3) + 1e-6 for value in found["filter_entropy"].values())
    assert all(0 < value < 1 for value in found["filter_null"].values())
    assert all(0 <= value <= 1 for value in found["filter_stability"].values())
    assert list(found["filter_scale"]) == ["a", "b.2", "c"]
    with torch.no_grad():
        fusion.router.gate.bias[0] = -20.0
    fusion(*fusion_batch())
    assert fusion.diagnostics()["dead_experts"] == 1
    fusion.eval()(*fusion_batch())
    assert "router_share" not in fusion.diagnostics(), "averages start again, and only training counts"


def test_without_noise_the_choice_is_stable_under_autocast_too() -> None:
    fusion = awake(tables=[random_table("w", 400, 16)], filter={"keep": 8, "shortlist": 400, "noise": 0.0}).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for seed in range(16):  # two of which count
            fusion(torch.randn(4, 8, HIDDEN, generator=torch.Generator().manual_seed(seed)), torch.ones(4, 8).bool())
    assert fusion.diagnostics()["filter_stability"] == {"w": 1.0}


def test_stability_does_not_count_padding() -> None:
    """Where all positions are computed, as on a GPU, most of them are padding."""
    fusion = awake(filter={**SMALL, "noise": 1e-3}).train()
    query = torch.zeros(40, HIDDEN)
    query[[20, 39]] = torch.nn.functional.normalize(fusion_batch()[0][0, -2:], dim=-1)
    for token_filter in fusion.filters.each():
        token_filter(query, token_filter.tokens(token_filter.shortlist.vectors), torch.arange(40) // 10, 4)
    assert fusion.diagnostics()["filter_stability"] == dict.fromkeys(fusion.widths, 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filter": {"keep": 1}}, "filter.keep: Input should be greater than or equal to 2, got 1"),
        ({"filter": {"keep": 9, "shortlist": 8}}, "more than the shortlist's 8 tokens. Lower fusion.filter.keep, or"),
        ({"filter": {"kep": 9}}, "unknown setting 'filter.kep'. Did you mean 'keep'?"),
    ],
)
def test_wrong_settings(settings: dict[str, Config], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        MltfrConfig.parse(settings)
    assert message in str(error.value)


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"heads is 5, not a divisor of backbone\.hidden, which is 16"):
        build(heads=5)
    with pytest.raises(ConfigError, match=r"consensus_group names 'd', which is not fitted.*Known: a, b.2, c"):
        build(consensus_group=["d"])
    with pytest.raises(ConfigError, match="backbone is bidirectional"):
        build(is_causal=False, filter={**SMALL, "query": "exponential"})
    with pytest.raises(ConfigError, match="keep is 8, but token table 'tiny' has 5 tokens"):
        build(tables=[random_table("tiny", 5)], filter={})
    with pytest.raises(ConfigError, match="at least one token table"):
        build(tables=[])
    with pytest.raises(ConfigError, match="'a' is given twice"):
        build(tables=[TABLES[0], TABLES[0]])


def test_table_names_stay_distinct_in_state_dict() -> None:
    names = ["a.b", "a%2eb", "keys", "keys%", "type", "of", "each"]
    modules = ByTable({name: torch.nn.Linear(1, 1) for name in names})
    assert len({id(modules.of(name)) for name in names}) == len(names)
    assert len(modules.state_dict()) == 2 * len(names)


@pytest.mark.parametrize("is_causal", [True, False])
def test_kept_tokens_are_the_best_of_the_shortlist(is_causal: bool) -> None:
    fusion = awake(is_causal).eval()
    x, mask = fusion_batch()
    query = fusion.query(x, mask, x.shape[1]).expand_as(x)
    for name, (ids, weights) in fusion.kept_tokens(x, mask).items():
        token_filter = fusion.filters.of(name)
        score = query @ token_filter.tokens(token_filter.shortlist.vectors).T  # [B, L, M]
        best = score.topk(SMALL["keep"], dim=-1)
        order = weights.argsort(dim=-1, descending=True)
        assert torch.equal(ids.gather(-1, order)[mask], token_filter.shortlist.ids[best.indices][mask])
        whole = score.softmax(-1).topk(SMALL["keep"], dim=-1).values
        torch.testing.assert_close(weights.gather(-1, order)[mask], whole[mask])
        assert not weights[~mask].any()
