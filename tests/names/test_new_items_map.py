"""From names to trained vectors: the closed forms against what they stand for, and no more said than names know."""

from __future__ import annotations

import numpy as np
import pytest

from mltfr.names.new_items import NamesToVectors, names_to_vectors

ITEMS, COMPONENTS, WIDTH = 60, 8, 5


def planted(noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return names, of which two items have none, vectors that follow from them but for noise, and counts."""
    rng = np.random.default_rng(0)
    names = rng.normal(size=(ITEMS, COMPONENTS)).astype(np.float32)
    names[[3, 40]] = 0
    vectors = names @ rng.normal(size=(COMPONENTS, WIDTH)) + 2 + noise * rng.normal(size=(ITEMS, WIDTH))
    return names, vectors.astype(np.float32), rng.integers(1, 40, ITEMS)


def by_hand(names: np.ndarray, vectors: np.ndarray, counts: np.ndarray, penalty: float) -> np.ndarray:
    """Return the coefficients `[R + 1, D]` of the weighted ridge regression, the mean last, by its normal equations."""
    t, weights = np.hstack([names, np.ones((len(names), 1))]).astype(np.float64), counts
    ridge = penalty * np.diag([1.0] * names.shape[1] + [0.0])
    return np.linalg.solve((t.T * weights) @ t + ridge, (t.T * weights) @ vectors)


def best(names: np.ndarray, vectors: np.ndarray, counts: np.ndarray) -> NamesToVectors:
    """Return the map that predicts the vectors of items from the others' best."""
    return max(names_to_vectors(names, vectors, counts, np.logspace(-4, 4, 33)), key=lambda found: found.explained)


def unit(names: np.ndarray, counts: np.ndarray) -> float:
    """Return the mean of the squared singular values of the centred and weighted names."""
    weights = counts
    centred = names - weights @ names / weights.sum()
    return float((weights[:, None] * centred**2).sum() / names.shape[1])


def test_the_map_is_that_of_the_normal_equations() -> None:
    names, vectors, counts = planted()
    found = best(names, vectors, counts)
    there = names.any(axis=1)
    names, vectors, counts = names[there], vectors[there], counts[there]
    wanted = by_hand(names, vectors, counts, found.regularisation * unit(names, counts))
    np.testing.assert_allclose(np.vstack([found.weights, found.mean]), wanted, atol=1e-5)
    assert found.explained > 0.9


def test_the_error_is_that_of_leaving_items_out() -> None:
    names, vectors, counts = planted(noise=2)
    there = np.flatnonzero(names.any(axis=1))
    names, vectors, counts = names[there], vectors[there], counts[there]
    weights = counts
    total = (weights[:, None] * (vectors - weights @ vectors / weights.sum()) ** 2).sum()
    penalties = (0.03, 1.0, 50.0)
    for penalty, one in zip(penalties, names_to_vectors(names, vectors, counts, penalties), strict=True):
        error = 0.0
        for left in range(len(names)):
            rest = np.delete(np.arange(len(names)), left)
            found = by_hand(names[rest], vectors[rest], counts[rest], penalty * unit(names, counts))
            predicted = names[left] @ found[:-1] + found[-1]
            np.testing.assert_allclose(one.as_new[left], predicted, atol=1e-4)
            error += weights[left] * ((vectors[left] - predicted) ** 2).sum()
        assert one.explained == pytest.approx(1 - error / total, abs=1e-6)


def test_names_of_other_items_explain_nothing() -> None:
    names, vectors, counts = planted()
    dealt = names[np.random.default_rng(1).permutation(ITEMS)]
    found = best(dealt, vectors, counts)
    assert found.explained < 0.1
    assert np.abs(found.vectors(names) - found.mean).std() < 0.3 * vectors.std()  # so new items are like the mean one


def test_items_that_are_hardly_known_hardly_count() -> None:
    names, vectors, counts = planted(noise=0)
    wrong = vectors.copy()
    wrong[7] += 50
    counts[7] = 0
    found, right = (best(names, each, counts) for each in (wrong, vectors))
    np.testing.assert_allclose(found.weights, right.weights)


def test_without_names_there_is_no_map() -> None:
    names, vectors, counts = planted()
    with pytest.raises(ValueError, match="no item has a name"):
        best(0 * names, vectors, counts)
