"""Each baseline against its formula, written out plainly with dense NumPy on a small log."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from mltfr.baselines import BASELINES, matrices
from mltfr.baselines import ease as ease_module
from mltfr.errors import ConfigError
from mltfr.interactions import UNKNOWN, Histories

LOG = [[1, 2, 3], [2, 3, 3, 5], [], [3, 1], [UNKNOWN, 4, 2, UNKNOWN, 3], [1, 2], [6]]
ITEMS = 7
HISTORIES = [[1, 2], [3, 1, 3, 2], [5], [7], [4, UNKNOWN, 6, 1]]
COUNTS = np.bincount([code for user in LOG for code in user if code > 0], minlength=ITEMS + 1).astype(np.int64)


def scores_of(name: str, **settings: object) -> np.ndarray:
    entry = BASELINES.get(name)
    config = entry.config.model_validate({"name": name, **settings})
    scorer = entry.cls.fit(config, Histories.from_sequences(LOG), COUNTS)
    return scorer.scores(scorer.queries([np.array(h, np.int32) for h in HISTORIES]), 1, ITEMS + 1).numpy()


def chosen() -> np.ndarray:
    """Return who chose what, `[U, I]`."""
    x = np.zeros((len(LOG), ITEMS))
    for row, user in enumerate(LOG):
        for code in user:
            if code > 0:
                x[row, code - 1] = 1
    return x


def summed(weights: np.ndarray, recent: float) -> np.ndarray:
    """Return every history's sum over its items' rows, each weighted by its newest age."""
    result = np.zeros((len(HISTORIES), ITEMS))
    for row, history in enumerate(HISTORIES):
        known = [code for code in history if code > 0]
        ages = {code: age for age, code in reversed(list(enumerate(reversed(known))))}
        for code, age in ages.items():
            result[row] += recent**age * weights[code - 1]
    return result


def test_popularity() -> None:
    np.testing.assert_array_equal(scores_of("popularity"), np.tile(COUNTS[1:], (len(HISTORIES), 1)))


@pytest.mark.parametrize(
    ("lags", "lag_decay", "newest", "decay", "smoothing"),
    [(1, 0.6, 1, 0.5, 1), (1, 0.6, 1, 1.0, 10), (1, 1.0, 3, 0.6, 2), (3, 0.5, 4, 0.3, 2), (99, 1.0, 1, 1.0, 1)],
)
def test_markov(lags: int, lag_decay: float, newest: int, decay: float, smoothing: float) -> None:
    moves = np.zeros((ITEMS, ITEMS))
    for user in LOG:
        for place, before in enumerate(user):
            for distance, after in enumerate(user[place + 1 : place + 1 + lags], start=1):
                if before > 0 and after > 0:
                    moves[before - 1, after - 1] += lag_decay ** (distance - 1)
    popularity = COUNTS[1:] / COUNTS.sum()
    chain = (moves + smoothing * popularity) / (moves.sum(1, keepdims=True) + smoothing)
    np.testing.assert_allclose(chain.sum(1), 1)
    expected = np.zeros((len(HISTORIES), ITEMS))
    for row, history in enumerate(HISTORIES):
        last = [code for code in history if code > 0][-newest:]
        ages = {code: age for age, code in reversed(list(enumerate(reversed(last))))}
        total = sum(decay**age for age in ages.values())
        for code, age in ages.items():
            expected[row] += decay**age / total * chain[code - 1]
    found = scores_of("markov", lags=lags, lag_decay=lag_decay, newest=newest, decay=decay, smoothing=smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_transitions_that_never_occurred_rank_by_popularity() -> None:
    row = scores_of("markov", newest=1)[2]  # nothing ever came after item 5
    np.testing.assert_allclose(row, COUNTS[1:] / COUNTS.sum(), rtol=1e-6)


@pytest.mark.parametrize("users", ["alike", "by length"])
@pytest.mark.parametrize("similarity", ["cosine", "conditional"])
@pytest.mark.parametrize(("neighbours", "shrinkage", "recent"), [(99, 0.0, 1.0), (2, 3.0, 0.5)])
@pytest.mark.parametrize(("lags", "lag_decay"), [(0, 0.9), (1, 0.9), (3, 0.5), (99, 1.0)])
def test_item_knn(
    users: str, similarity: str, neighbours: int, shrinkage: float, recent: float, lags: int, lag_decay: float
) -> None:
    x = chosen()
    length = x.sum(1)
    v = np.ones(len(LOG)) if users == "alike" else 1 / np.maximum(length, 1)
    both = x.T @ (v[:, None] * x)
    size = np.diag(both).copy()
    if lags:
        both = np.zeros_like(both)
        for of, user in zip(v, LOG, strict=True):
            for (here, first), (there, second) in permutations(enumerate(user), 2):
                if abs(here - there) <= lags and first > 0 and second > 0:
                    both[first - 1, second - 1] += of * lag_decay ** (abs(here - there) - 1)
    scale = np.sqrt(np.outer(size, size)) if similarity == "cosine" else np.outer(size, size**0.3)
    below = scale + shrinkage * v.mean()
    similar = np.divide(both, below, out=np.zeros_like(both), where=below > 0)
    np.fill_diagonal(similar, 0)
    for row in similar:
        row[np.argsort(-row, kind="stable")[neighbours:]] = 0
    expected = summed(similar, recent)
    others = COUNTS[1:] / (COUNTS.max() + 1) - 1
    found = scores_of("item-knn", users=users, similarity=similarity, alpha=0.3, neighbours=neighbours,
                      shrinkage=shrinkage, recent=recent, lags=lags, lag_decay=lag_decay)  # fmt: skip
    np.testing.assert_allclose(found, np.where(expected == 0, others, expected), rtol=1e-5)
    assert (found < 0).any()


def solved(l2: float) -> np.ndarray:
    """Return EASE's weights, `[I, I]`."""
    x = chosen()
    p = np.linalg.inv(x.T @ x + l2 * np.eye(ITEMS))
    weights = -p / np.diag(p)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("l2", [0.5, 20.0])
def test_ease_is_what_its_paper_solves(l2: float) -> None:
    weights = solved(l2)
    assert (weights < 0).any()  # which count as well
    np.testing.assert_allclose(scores_of("ease", l2=l2), summed(weights, recent=1.0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("l2", "keep", "recent"), [(0.5, 99, 1.0), (20.0, 99, 0.5), (2.0, 3, 0.8)])
def test_recent_ease(l2: float, keep: int, recent: float) -> None:
    weights = solved(l2)
    for row in weights:
        order = np.argsort(np.where(row == 0, np.inf, -row), kind="stable")
        row[order[keep:]] = 0
    found = scores_of("ease-recent", l2=l2, keep=keep, recent=recent)
    np.testing.assert_allclose(found, summed(weights, recent), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("item-knn", {"neighbours": 2}),
        ("item-knn", {"neighbours": 2, "lags": 0}),
        ("ease", {"l2": 1.0}),
        ("ease-recent", {"l2": 1.0, "keep": 3}),
    ],
)
def test_blocks_of_rows_make_no_difference(
    name: str, settings: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scores_of(name, **settings)
    monkeypatch.setattr(matrices, "CELLS", 3 * ITEMS)  # blocks of 3, 3 and 1 rows
    np.testing.assert_allclose(scores_of(name, **settings), whole, rtol=1e-6)


def test_of_equal_weights_the_lower_codes_are_kept() -> None:
    block = np.array([[0.5, 0.2, 0.5, 0.5, 0.2], [0, 0, 0.1, 0, 0], [0] * 5, [-1, -2, 0, -3, 0]], np.float32)
    expected = np.array([[0.5, 0, 0.5, 0, 0], [0, 0, 0.1, 0, 0], [0] * 5, [-1, -2, 0, 0, 0]], np.float32)
    np.testing.assert_array_equal(matrices.largest_of_rows(csr_array(block), 2).toarray(), expected)
    np.testing.assert_array_equal(matrices.largest_of_rows(csr_array(block), 9).toarray(), block)


@pytest.mark.parametrize("name", ["ease", "ease-recent"])
def test_ease_does_not_begin_what_does_not_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease_module, "available_memory", lambda: 100_000_000)
    message = rf"'{name}' needs about 0\.5 GB for 7 items, but 0\.1 GB are available\..*min_item_interactions.*item-knn"
    with pytest.raises(ConfigError, match=message):
        scores_of(name)
    monkeypatch.setattr(ease_module, "available_memory", lambda: None)  # a system that does not say
    scores_of(name)


def test_ease_says_when_there_is_too_little_regularisation() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.l2 is 1e-50, too small for this data"):
        scores_of("ease", l2=1e-50)  # item 7 was never chosen


@pytest.mark.parametrize(
    ("name", "settings"), [("item-knn", {"recent": 1.0}), ("ease", {}), ("ease-recent", {"recent": 1.0})]
)
def test_similarity_is_a_row_of_the_weights(name: str, settings: dict[str, float]) -> None:
    entry = BASELINES.get(name)
    config = entry.config.model_validate({"name": name, **settings})
    fitted = entry.cls.fit(config, Histories.from_sequences(LOG), COUNTS)
    row = fitted.similarity(torch.tensor([2]))[0]
    scores = fitted.scores(fitted.queries([np.array([2], np.int32)]), 1, ITEMS + 1)[0]
    assert row[1] == 0
    torch.testing.assert_close(row[row != 0], scores[row != 0])


@pytest.mark.parametrize("name", ["markov", "popularity"])
def test_no_similarity_is_said(name: str) -> None:
    entry = BASELINES.get(name)
    fitted = entry.cls.fit(entry.config.model_validate({"name": name}), Histories.from_sequences(LOG), COUNTS)
    with pytest.raises(ConfigError, match=r"no similarity of items\. Fit item-knn, name-knn, ease, ease-recent or"):
        fitted.similarity(torch.tensor([1]))


def test_ease_in_float32_is_near_the_exact_solution() -> None:
    random = np.random.default_rng(0)
    x = csr_array((random.random((300, 120)) < 0.2 * random.random(120)).astype(np.float32))
    p = np.linalg.inv((x.T @ x).toarray().astype(np.float64) + 5.0 * np.eye(120))
    expected = -p / np.diag(p)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(ease_module.solve(x, 5.0), expected, rtol=1e-3, atol=1e-5)
