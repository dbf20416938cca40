"""HR, NDCG and MRR against ranx, against enumeration, and as properties."""

from __future__ import annotations

from itertools import permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltfr.evaluation import Ranks, rank_metrics
from mltfr.evaluation.metrics import USUAL
from mltfr.evaluation.ranks import MISS

PLACES = st.lists(st.tuples(st.integers(0, 40) | st.just(MISS), st.integers(0, 40)), min_size=1, max_size=20)


def ranks(places: list[tuple[int, int]]) -> Ranks:
    higher, tied = np.array(places, np.int64).T
    return Ranks(higher, tied)


def test_equal_to_ranx_on_random_rankings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes longer than all of this file
    ranx = pytest.importorskip("ranx")
    random = np.random.default_rng(0)
    scores = random.permuted(np.tile(np.arange(60.0), (40, 1)), axis=1)
    targets = random.integers(0, 60, 40)
    runs = {f"u{u}": {f"i{i}": float(s) for i, s in enumerate(row)} for u, row in enumerate(scores)}
    truth = {f"u{u}": {f"i{target}": 1} for u, target in enumerate(targets)}
    names = [f"{ours}@{k}" for ours in ("hr", "ndcg", "mrr") for k in (5, 10, 20)]
    theirs = [name.replace("hr", "hit_rate") for name in names]
    expected = ranx.evaluate(ranx.Qrels(truth), ranx.Run(runs), theirs)
    target_scores = scores[np.arange(40), targets][:, None]
    higher = (scores > target_scores).sum(1)
    metrics = rank_metrics(Ranks(higher, np.zeros(40, np.int64)), USUAL, (5, 10, 20))
    assert list(metrics) == names
    for ours, name in zip(names, theirs, strict=True):
        assert metrics[ours].mean() == pytest.approx(expected[name], abs=1e-12)


@pytest.mark.parametrize("higher", [0, 1, 3, 7])
@pytest.mark.parametrize("tied", [0, 1, 2, 4])
def test_under_ties_equal_to_the_mean_over_all_orders(higher: int, tied: int) -> None:
    gains = {"hr": lambda rank: 1.0, "ndcg": lambda rank: 1 / log2(rank + 1), "mrr": lambda rank: 1 / rank}
    metrics = rank_metrics(ranks([(higher, tied)]), USUAL, (1, 3, 5))
    for name, gain in gains.items():
        for k in (1, 3, 5):
            orders = list(permutations(["target", *range(tied)]))
            found = [higher + order.index("target") + 1 for order in orders]
            mean = sum(gain(rank) if rank <= k else 0.0 for rank in found) / len(orders)
            assert metrics[f"{name}@{k}"][0] == pytest.approx(mean, abs=1e-12)


def test_known_values() -> None:
    metrics = rank_metrics(ranks([(0, 0), (2, 0), (5, 0)]), USUAL, (5,))
    assert metrics["hr@5"].tolist() == [1, 1, 0]
    assert metrics["ndcg@5"].tolist() == [1, 0.5, 0]
    assert metrics["mrr@5"].tolist() == [1, 1 / 3, 0]


@given(PLACES)
def test_bounds_and_order(places: list[tuple[int, int]]) -> None:
    metrics = rank_metrics(ranks(places), USUAL, (1, 5, 10, 20))
    slack = 1e-12
    for k in (1, 5, 10, 20):
        hr, ndcg, mrr = (metrics[f"{name}@{k}"] for name in ("hr", "ndcg", "mrr"))
        assert (hr <= 1 + slack).all()
        assert (hr >= ndcg - slack).all()
        assert (ndcg >= mrr - slack).all()
        assert (mrr >= 0).all()
    for name in ("hr", "ndcg", "mrr"):
        for smaller, larger in ((1, 5), (5, 10), (10, 20)):
            assert (metrics[f"{name}@{larger}"] >= metrics[f"{name}@{smaller}"] - slack).all()


@given(PLACES)
def test_more_before_the_target_never_helps_and_a_miss_counts_nothing(places: list[tuple[int, int]]) -> None:
    before = rank_metrics(ranks(places), USUAL, (5, 20))
    after = rank_metrics(ranks([(higher + 1, tied) for higher, tied in places]), USUAL, (5, 20))
    missed = np.array([higher == MISS for higher, _ in places])
    for name, values in before.items():
        assert (after[name] <= values + 1e-12).all()
        assert not values[missed].any()
