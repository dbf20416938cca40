"""The shortlist covers what the training users ask for, with bounded memory and no randomness."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr.fusion import FusionInputs
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion, shortlist
from mltfr.fusion.mltfr.model import TokenFilter, TokenFilterConfig
from mltfr.fusion.mltfr.queries import sample_queries
from mltfr.fusion.mltfr.shortlist import Shortlist
from mltfr.testing.toy import HIDDEN, random_table
from mltfr.tokens.table import PreparedTable

TABLE = random_table("t", 300, 12)


def unit(tensor: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(tensor, dim=-1)


def token_filter(size: int = 20, keep: int = 4, hysteresis: float = 0.0) -> TokenFilter:
    torch.manual_seed(0)
    return TokenFilter(TABLE, HIDDEN, TokenFilterConfig(keep=keep, shortlist=size, hysteresis=hysteresis))


def choose(filter_: TokenFilter, queries: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        tokens = filter_.tokens(filter_.shortlist.vectors)
        choice = filter_.eval()(queries, tokens, torch.zeros(len(queries), dtype=torch.long), 1)
    return filter_.shortlist.ids[choice.kept.rows].sort(-1).values


def cosines(queries: torch.Tensor, filter_: TokenFilter) -> torch.Tensor:
    rows = torch.tensor(TABLE.vectors.astype(np.float32)) * 12**0.5
    return (queries @ unit(filter_.projection(rows)).T).detach()


@pytest.mark.parametrize("hysteresis", [0.0, 0.7])
@pytest.mark.parametrize(("tokens", "queries"), [(8192, 1024), (32, 7)])
def test_choice_follows_the_coverage_rule(
    monkeypatch: pytest.MonkeyPatch, tokens: int, queries: int, hysteresis: float
) -> None:
    monkeypatch.setattr(shortlist, "TOKENS_AT_ONCE", tokens)
    monkeypatch.setattr(shortlist, "QUERIES_AT_ONCE", queries)
    filter_ = token_filter(hysteresis=hysteresis)
    old = set(filter_.shortlist.ids.tolist())
    asked = unit(torch.randn(15, HIDDEN, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        filter_.refresh(asked, asked[:0])
    cosine = cosines(asked, filter_)
    counts = np.zeros(300, dtype=int)
    for row in cosine:
        counts[np.argsort(-row.numpy(), kind="stable")[:4]] += 1
    best = cosine.amax(0).numpy()
    weight = [count * (1 + hysteresis if token in old else 1) for token, count in enumerate(counts)]
    expected = sorted(range(300), key=lambda t: (-weight[t], -best[t], t))[:20]
    assert filter_.shortlist.ids.tolist() == sorted(expected)
    rows = TABLE.vectors[filter_.shortlist.ids.numpy()].astype(np.float32) * np.float32(12**0.5)
    assert np.array_equal(filter_.shortlist.vectors.numpy(), rows)


def test_positions_keep_what_they_would_keep_of_the_whole_vocabulary() -> None:
    """The shortlist has room for every query's best tokens, so nothing is lost by it."""
    filter_ = token_filter(size=80)
    asked = unit(torch.randn(15, HIDDEN, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        filter_.refresh(asked, asked[:0])
    assert torch.equal(choose(filter_, asked), cosines(asked, filter_).topk(4).indices.sort(-1).values)


def test_fresh_shortlist_is_spread_evenly_and_whole_tables_stay_whole() -> None:
    ids = Shortlist(TABLE, 20, 4).ids
    assert ids.tolist() == list(range(0, 300, 15))
    whole = Shortlist(TABLE, 512, 4)
    assert whole.ids.tolist() == list(range(300))
    assert whole.choose(torch.zeros(1, HIDDEN), lambda rows: rows, torch.zeros(1, HIDDEN)) == (1.0, 1.0)
    assert whole.ids.tolist() == list(range(300))


def test_shortlist_of_the_whole_vocabulary_equals_filtering_all_of_it() -> None:
    filter_ = token_filter(size=1000)
    asked = unit(torch.randn(9, HIDDEN, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(choose(filter_, asked), cosines(asked, filter_).topk(4).indices.sort(-1).values)


def test_building_reads_no_more_than_the_shortlist() -> None:
    """A placeholder of 10 TB is no problem."""
    table = PreparedTable("huge", np.broadcast_to(np.float16(0), (10**10, 512)), ())
    assert Shortlist(table, 20, 4).vectors.shape == (20, 512)


def test_refresh_is_deterministic_and_draws_no_random_numbers() -> None:
    def refreshed() -> torch.Tensor:
        config = MltfrConfig(filter={"keep": 3, "shortlist": 12, "refresh_queries": 20})
        fusion = MltfrFusion(config, FusionInputs(HIDDEN, True, [TABLE], seed=2))
        generator = torch.Generator().manual_seed(7)
        mask = torch.arange(6) >= torch.randint(0, 6, (40, 1), generator=generator)
        before = torch.get_rng_state()
        fusion.refresh([(torch.randn(40, 6, HIDDEN, generator=generator), mask)])
        assert torch.equal(torch.get_rng_state(), before)
        assert fusion.diagnostics()["filter_shortlist_kept"]["t"] < 1
        return fusion.filters.of("t").shortlist.ids

    assert torch.equal(refreshed(), refreshed())


def test_queries_are_observed_ones_spread_over_the_positions() -> None:
    mask = torch.arange(10) >= torch.randint(0, 11, (200, 1), generator=torch.Generator().manual_seed(0))
    position = torch.arange(10.0).expand(200, 10)
    user = torch.arange(200.0).unsqueeze(1).expand(200, 10)
    asked = sample_queries((torch.stack([position, user], -1)[a : a + 50], mask[a : a + 50]) for a in (0, 50, 100, 150))
    users = asked[:, 1].long()
    assert users.tolist() == mask.any(1).nonzero().flatten().tolist()
    assert mask[users, asked[:, 0].long()].all()
    full = sample_queries([(position.unsqueeze(-1)[:100], torch.ones(100, 10, dtype=torch.bool))])
    counts = torch.bincount(full.flatten().long())
    assert len(counts) == 10
    assert counts.min() >= 8


def test_refresh_without_any_history_changes_nothing() -> None:
    fusion = MltfrFusion(MltfrConfig(filter={"shortlist": 12}), FusionInputs(HIDDEN, True, [TABLE]))
    before = fusion.filters.of("t").shortlist.ids.clone()
    fusion.refresh([])
    fusion.refresh([(torch.zeros(2, 3, HIDDEN), torch.zeros(2, 3, dtype=torch.bool))])
    assert torch.equal(fusion.filters.of("t").shortlist.ids, before)


def asking(filter_: TokenFilter, times: dict[int, int]) -> torch.Tensor:
    """Return queries of which so many point at each of some tokens."""
    with torch.no_grad():
        rows = torch.tensor(TABLE.vectors.astype(np.float32)) * 12**0.5
        tokens = unit(filter_.projection(rows))
    return torch.cat([tokens[token].expand(count, -1) for token, count in times.items()])


def test_a_token_gives_way_to_one_that_is_asked_for_often_enough() -> None:
    there = [3, 50, 120, 200, 290]
    for times, stays in ((14, True), (16, False)):
        shortlist = Shortlist(TABLE, 5, 1)
        shortlist.take(np.array(there))
        filter_ = token_filter()
        with torch.no_grad():
            asked = asking(filter_, {**dict.fromkeys(there, 10), 77: times})
            found = shortlist.choose(asked, filter_.tokens, asked[:0], hysteresis=0.5)
        assert (shortlist.ids.tolist() == there) == stays
        assert found.stayed == (1.0 if stays else 0.8)


def test_a_shortlist_holds_on_to_its_tokens() -> None:
    """Two samples of the same users ask for about the same; with hysteresis less of the list changes."""
    stayed = []
    for hysteresis in (0.0, 2.0):
        filter_ = token_filter(size=40, hysteresis=hysteresis)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for _ in range(2):
                asked = unit(torch.randn(60, HIDDEN, generator=generator))
                found = filter_.refresh(asked, asked[:0])
        stayed.append(found.stayed)
    assert stayed[1] > stayed[0] + 0.1


def test_coverage_is_what_unseen_users_would_keep_that_is_on_the_shortlist() -> None:
    config = MltfrConfig(filter={"keep": 3, "shortlist": 60})
    fusion = MltfrFusion(config, FusionInputs(HIDDEN, True, [TABLE], seed=2))
    generator = torch.Generator().manual_seed(7)
    mask = torch.arange(6) >= torch.randint(0, 6, (40, 1), generator=generator)
    histories, others = (torch.randn(40, 6, HIDDEN, generator=generator) for _ in range(2))
    fusion.refresh([(histories, mask)], [(others[:25], mask[:25]), (others[25:], mask[25:])])
    coverage = fusion.diagnostics()["filter_coverage"]["t"]
    filter_ = fusion.filters.of("t")
    wanted = cosines(fusion.query(others, mask, 1)[:, 0], filter_).topk(3).indices
    expected = np.isin(wanted.numpy(), filter_.shortlist.ids.numpy()).mean()
    assert coverage == pytest.approx(expected)
    assert 0.1 < expected < 0.9
    fusion.refresh([(histories, mask)])
    assert "filter_coverage" not in fusion.diagnostics(), "nobody was unseen"
