"""Exact streaming top-k under rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from mltfr.baselines.popularity import Popularity
from mltfr.errors import MltfrError
from mltfr.inference import Rules, select, top_k
from mltfr.inference.top_k import scoring_batches
from mltfr.interactions import UNKNOWN
from mltfr.storage.progress import Progress


class HistoryScorer:
    """Random scores that follow from the history alone; few levels make many ties."""

    def __init__(self, items: int, levels: int = 1 << 20) -> None:
        self.items = items
        self.levels = levels

    def queries(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        seeds = [[int(item) + 1 for item in history] for history in histories]
        draws = [np.random.default_rng(seed).integers(-self.levels, self.levels, self.items) for seed in seeds]
        return np.array(draws, np.float32).reshape(len(histories), self.items)

    def scores(self, queries: np.ndarray, start: int, stop: int) -> torch.Tensor:
        return torch.from_numpy(queries[:, start - 1 : stop - 1].copy())


def dense_top_k(scorer: HistoryScorer, history: np.ndarray, k: int, rules: Rules) -> list[tuple[int, float]]:
    """The definition: sort all candidates by (score, lower code)."""
    forbidden = set(rules.deny) | (set(history.tolist()) if rules.remove_seen else set())
    allowed = set(range(1, scorer.items + 1)) if rules.allow is None else set(rules.allow)
    scores = scorer.queries([history])[0]
    candidates = sorted((-scores[code - 1], code) for code in allowed - forbidden)
    return [(code, float(-negative)) for negative, code in candidates[:k]]


def random_histories(items: int, users: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [
        random.integers(1, items + 1, random.integers(0, 30)).astype(np.int32) for _ in range(users)
    ]


@settings(max_examples=60, deadline=None)
@given(
    items=st.integers(1, 700),
    users=st.integers(1, 5),
    k=st.integers(1, 12),
    chunk=st.integers(1, 800),
    levels=st.sampled_from([1, 3, 1 << 20]),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_streamed_equals_dense_for_any_chunk(
    items: int, users: int, k: int, chunk: int, levels: int, seed: int, data: st.DataObject
) -> None:
    codes = st.lists(st.integers(1, items), max_size=20)
    rules = Rules(data.draw(st.booleans()), data.draw(st.none() | codes), data.draw(codes))
    scorer = HistoryScorer(items, levels)
    histories = random_histories(items, users, seed)
    result = top_k(scorer, histories, k, rules, chunk=max(chunk, items // 20))
    for user, history in enumerate(histories):
        expected = dense_top_k(scorer, history, k, rules)
        count = result.counts[user]
        assert list(zip(result.codes[user, :count], result.scores[user, :count], strict=True)) == expected
        assert not result.codes[user, count:].any()
        assert (result.scores[user, count:] == -np.inf).all()


def test_all_of_a_long_history_is_removed_and_unknown_items_do_no_harm() -> None:
    history = np.array([*range(1, 91), UNKNOWN], np.int32)
    result = top_k(Popularity.of_counts(np.arange(101)[::-1].copy()), [history], 20)
    assert result.counts.tolist() == [10]
    assert result.codes[0, :10].tolist() == list(range(91, 101))


def test_seen_items_stay_when_asked() -> None:
    scorer = Popularity.of_counts(np.array([0, 9, 5, 7]))
    history = [np.array([1], np.int32)]
    assert top_k(scorer, history, 2).codes.tolist() == [[3, 2]]
    assert top_k(scorer, history, 2, Rules(remove_seen=False)).codes.tolist() == [[1, 3]]


def test_results_come_in_the_order_asked_for_whatever_the_batches() -> None:
    scorer = HistoryScorer(50)
    histories = random_histories(50, 600)
    together = top_k(scorer, histories, 5)
    for user in (0, 17, 300, 599):
        assert together.codes[user].tolist() == top_k(scorer, [histories[user]], 5).codes[0].tolist()


def test_equal_scores_come_in_the_order_of_codes_even_across_groups_and_zero_signs() -> None:
    class Zeros(HistoryScorer):
        def queries(self, histories: Sequence[np.ndarray]) -> np.ndarray:
            zeros = np.zeros((len(histories), self.items), np.float32)
            zeros[:, ::2] *= -1.0  # -0.0 equals 0.0
            return zeros

    result = top_k(Zeros(1000), [np.zeros(0, np.int32)], 7)
    assert result.codes.tolist() == [[1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize("rows", [1, 5])
def test_few_scores_are_searched_by_torch_unless_some_are_equal(rows: int) -> None:
    scores = torch.randn(rows, 2000, generator=torch.Generator().manual_seed(0))
    expected = select.pack(scores, torch.arange(5, 2005)).topk(10, dim=1).values
    found = select._of_few(scores, 5, 10)
    assert found is not None
    assert torch.equal(found, expected)
    assert torch.equal(select.best_keys(scores, 5, 10), expected)
    worst = scores.topk(10, dim=1).values[:, -1]
    scores[-1, 0] = worst[-1]  # the tenth best is there twice, the second time with a lower code
    assert select._of_few(scores, 5, 10) is None
    expected = select.pack(scores, torch.arange(5, 2005)).topk(10, dim=1).values
    assert torch.equal(select.best_keys(scores, 5, 10), expected)
    scores[0, 7] = torch.nan
    assert select._of_few(scores, 5, 10) is None


class Steps(Progress):
    """Remembers its steps."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def advance(self, steps: int = 1) -> None:
        self.steps.append(steps)


def test_progress_counts_histories() -> None:
    progress = Steps()
    top_k(HistoryScorer(5), random_histories(5, 300), 2, progress=progress)
    assert progress.steps == [256, 44]


@pytest.mark.parametrize(("items", "where"), [(10, 4), (1000, 40), (1000, -1)])
def test_scores_that_are_not_numbers_are_an_error(items: int, where: int) -> None:
    class Broken(HistoryScorer):
        def queries(self, histories: Sequence[np.ndarray]) -> np.ndarray:
            scores = super().queries(histories)
            scores[:, where] = -np.float32(np.nan)
            return scores

    with pytest.raises(MltfrError, match=r"not numbers \(NaN\): training has diverged"):
        top_k(Broken(items), [np.array([1], np.int32)], 2)


def test_codes_in_lists_are_checked() -> None:
    with pytest.raises(ValueError, match=r"allow holds 6, but item codes are 1 to 5\."):
        top_k(HistoryScorer(5), [np.array([1], np.int32)], 2, Rules(allow=[1, 6]))
    with pytest.raises(ValueError, match=r"deny holds 0, but item codes are 1 to 5\."):
        top_k(HistoryScorer(5), [np.array([1], np.int32)], 2, Rules(deny=[0]))
    with pytest.raises(ValueError, match="k and chunk must be at least 1, got k=0"):
        top_k(HistoryScorer(5), [], 0)


def test_nothing_asked_nothing_answered() -> None:
    assert top_k(HistoryScorer(5), [], 3).codes.shape == (0, 3)


def test_a_k_beyond_the_catalogue_costs_no_more_than_the_catalogue() -> None:
    histories = [np.array([1], np.int32), np.array([2, 3], np.int32)]
    whole, beyond = (top_k(HistoryScorer(5), histories, k) for k in (5, 10**12))
    assert beyond.codes.shape == (2, 5)
    assert beyond.counts.tolist() == [4, 3]
    np.testing.assert_array_equal(beyond.codes, whole.codes)


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any tensor made inside has."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // 4)
        return made


@pytest.mark.parametrize("chunk", [500, 1 << 17])
def test_no_tensor_grows_with_users_times_items(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    items, users, k, block = 3000, 700, 10, 40_000
    monkeypatch.setitem(scoring_batches.__globals__, "BLOCK_SCORES", block)
    scorer = HistoryScorer(items)
    histories = random_histories(items, users)
    with LargestTensor() as largest:
        streamed = top_k(scorer, histories, k, chunk=chunk)
    assert 0 < largest.elements <= block < users * items
    monkeypatch.undo()
    dense = top_k(scorer, histories, k, chunk=items)
    np.testing.assert_array_equal(streamed.codes, dense.codes)
    np.testing.assert_array_equal(streamed.scores, dense.scores)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 6),
    width=st.integers(700, 1500),
    k=st.integers(1, 10),
    levels=st.sampled_from([1, 2, 50, 1 << 20]),
    forbidden=st.sampled_from([0.0, 0.5, 0.999, 1.0]),
    seed=st.integers(0, 1000),
)
def test_numpys_selection_equals_sorting_all_keys(
    rows: int, width: int, k: int, levels: int, forbidden: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(-levels, levels, (rows, width)).astype(np.float32)
    scores[random.random(scores.shape) < forbidden] = -np.inf
    given_scores = torch.from_numpy(scores)
    expected = select.pack(given_scores, torch.arange(5, 5 + width)).sort(dim=1, descending=True).values[:, :k]
    found = select.best_keys(given_scores, 5, k)
    finite = select.unpack(expected)[1] > -torch.inf
    assert torch.equal(found[finite], expected[finite])
    assert torch.equal(select.unpack(found)[1], select.unpack(expected)[1])
    groups = width // select.GROUP * select.GROUP
    grouped = given_scores[:, :groups].view(rows, -1, select.GROUP)
    other = select._keys_of_groups(grouped, given_scores[:, groups:], grouped.amax(2), 5, k)
    assert torch.equal(other.topk(k).values[finite], expected[finite])
