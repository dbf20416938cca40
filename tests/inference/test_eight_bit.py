"""Few histories against many items: 8-bit vectors, bounds, and the same answer as scoring everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mltfr.inference import ModelScorer, Rules, eight_bit, top_k
from mltfr.inference.eight_bit import EightBitSearch, EightBitVectors, quantise
from mltfr.inference.select import unpack
from support.networks import Network, retriever_of

ITEMS = 700


def vectors_of(kind: str, seed: int, items: int = ITEMS, width: int = 16) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    vectors = torch.randn(items + 1, width, generator=random)
    if kind == "duplicates":
        vectors = vectors[torch.randint(0, 5, (items + 1,), generator=random)]
    if kind == "zeros":
        vectors[torch.rand(items + 1, generator=random) < 0.7] = 0
    if kind == "scales":
        vectors *= torch.logspace(-20, 3, items + 1)[torch.randperm(items + 1, generator=random)].unsqueeze(1)
    if kind == "outliers":
        vectors[:, 0] *= 1000
    if kind == "whole":
        vectors = vectors.round()
    vectors[0] = 0
    return vectors


def definition(vectors: Tensor, query: Tensor, k: int, forbidden: set[int]) -> tuple[list[int], list[float]]:
    """Sort all candidates by (inner product rounded to float32, lower code)."""
    scores = (vectors.double() * query.double()).sum(1).float().tolist()
    allowed = [code for code in range(1, len(vectors)) if code not in forbidden]
    best = sorted(allowed, key=lambda code: (-scores[code], code))[:k]
    return best, [scores[code] for code in best]


KINDS = st.sampled_from(["plain", "duplicates", "zeros", "scales", "outliers", "whole"])


@settings(max_examples=80, deadline=None)
@given(kind=KINDS, seed=st.integers(0, 10_000), k=st.sampled_from([1, 3, 10, 200, 699, 5000]), data=st.data())
def test_pruned_equals_the_definition_whatever_the_vectors_and_the_rules(
    kind: str, seed: int, k: int, data: st.DataObject
) -> None:
    vectors = vectors_of(kind, seed)
    query = torch.randn(16, generator=torch.Generator().manual_seed(seed + 1))
    if kind == "whole":
        query = query.round()
    items = EightBitVectors(vectors)
    seen = data.draw(st.lists(st.integers(1, ITEMS), max_size=20))
    first, last = sorted(data.draw(st.tuples(st.integers(0, ITEMS), st.integers(0, ITEMS))))
    blocked = torch.zeros(ITEMS + 1, dtype=torch.bool)
    blocked[first:last] = True
    if not items.bounds_hold(query):
        assert not query.any()
        return
    codes, scores = unpack(items.best_keys(query, k, torch.tensor(seen, dtype=torch.int64), blocked))
    expected = definition(vectors, query, k, {*seen, *range(first, last)})
    assert (codes[0].tolist(), scores[0].tolist()) == expected


@settings(max_examples=60, deadline=None)
@given(kind=KINDS, seed=st.integers(0, 10_000), exponent=st.integers(-18, 12))
def test_no_true_score_leaves_its_bounds(kind: str, seed: int, exponent: int) -> None:
    vectors = vectors_of(kind, seed)
    query = torch.randn(16, generator=torch.Generator().manual_seed(seed)) * 10.0**exponent
    items = EightBitVectors(vectors)
    true = (vectors.double() * query.double()).sum(1)
    assert (true <= items.upper(query)).all()
    margin = (query.double().norm() * items.margins).float()
    assert ((true - items.scores(query)).abs() <= margin).all()


def test_margins_are_tight_enough_to_prune() -> None:
    vectors = torch.randn(5000, 64, generator=torch.Generator().manual_seed(0))
    items = EightBitVectors(vectors)
    query = torch.randn(64, generator=torch.Generator().manual_seed(1))
    tenth = (vectors @ query).topk(10).values[-1]
    assert int((items.upper(query) >= tenth).sum()) < 40
    assert items.nbytes == 5000 * (64 + 6)


def test_numbers_fit_a_byte_and_a_zero_vector_stays_zero() -> None:
    vectors = torch.cat([torch.zeros(1, 8), torch.logspace(-30, 30, 200).unsqueeze(1).expand(200, 8)])
    numbers, scales, margins = quantise(vectors)
    assert int(numbers.min()) >= 0
    assert int(numbers.max()) <= 127
    assert int(numbers[1:].min()) > 100
    assert margins[0] == 0
    assert scales.isfinite().all()


def test_a_kernel_that_is_missing_or_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = vectors_of("plain", 0)
    assert EightBitVectors.of(vectors) is not None
    assert EightBitVectors.of(torch.full((3, 4), torch.nan)) is None
    kernel = torch._weight_int8pack_mm
    monkeypatch.setattr(torch, "_weight_int8pack_mm", lambda *given: kernel(*given) + 1)
    assert EightBitVectors.of(vectors) is None
    monkeypatch.delattr(torch, "_weight_int8pack_mm")
    assert EightBitVectors.of(vectors) is None


@pytest.fixture
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bit, "MIN_ITEMS", 100)
    monkeypatch.setattr(eight_bit, "CALLS_BEFORE", 2)


@pytest.mark.usefixtures("_small_is_large")
def test_both_ways_answer_alike_and_the_first_calls_score_all_items() -> None:
    network = Network(vectors_of("plain", 3))
    found = retriever_of(network)
    histories = [np.array([4, 9, 300], np.int32), np.array([5], np.int32)]
    search = EightBitSearch(ModelScorer(network))
    assert search.top_k(histories, 10, Rules()) is None
    assert search.top_k(histories, 10, Rules()) is not None
    assert search.top_k(histories * 2, 10, Rules()) is None  # more of them share one reading of the true vectors
    for rules in (Rules(), Rules(remove_seen=False), Rules(allow=[7, 8, 300]), Rules(deny=range(1, 500))):
        dense = found.top_k(histories, 10, rules, "dense")
        few = found.top_k(histories, 10, rules)
        np.testing.assert_array_equal(few.codes, dense.codes)
        np.testing.assert_array_equal(few.counts, dense.counts)
        np.testing.assert_allclose(few.scores, dense.scores, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("_small_is_large")
def test_weights_that_changed_are_read_again() -> None:
    network = Network(vectors_of("plain", 3))
    found = retriever_of(network)
    history = [np.array([4, 9], np.int32)]
    for _ in range(3):
        found.top_k(history, 5, Rules())
    with torch.no_grad():
        network.item_embedding.weight.mul_(-torch.rand(ITEMS + 1, 1, generator=torch.Generator().manual_seed(0)))
    expected = top_k(ModelScorer(network), history, 5, Rules())
    for _ in range(3):
        np.testing.assert_array_equal(found.top_k(history, 5, Rules()).codes, expected.codes)


@pytest.mark.usefixtures("_small_is_large")
def test_what_the_bounds_do_not_hold_for_is_scored_in_full() -> None:
    vectors = vectors_of("plain", 3)
    vectors[4] = 0  # the history [4] has a query of zeros
    network = Network(vectors)
    found = retriever_of(network)
    odd = [np.array([4], np.int32), np.array([-1], np.int32), np.array([], np.int32)]
    for _ in range(3):
        for history in odd:
            expected = top_k(found.scorer, [history], 5, Rules())
            np.testing.assert_array_equal(found.top_k([history], 5, Rules()).codes, expected.codes)
