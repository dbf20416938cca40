"""The directions in which the names of consecutive items agree."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from mltfr.interactions.histories import Histories
from mltfr.names.agreement import RIDGE, Agreement, agreement

ITEMS, WIDTH = 200, 6


def names(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ITEMS, WIDTH)).astype(np.float32)


def histories(taste: np.ndarray, users: int = 300, length: int = 8) -> Histories:
    """Users who stay among the items of one half of a taste, `[I]`."""
    rng, order = np.random.default_rng(1), np.argsort(taste)
    halves = [order[: ITEMS // 2], order[ITEMS // 2 :]]
    return Histories.from_sequences([(rng.choice(halves[user % 2], length) + 1).tolist() for user in range(users)])


def found(vectors: np.ndarray, log: Histories, dimensions: int = 3) -> Agreement:
    return agreement(vectors, np.ones(len(vectors), bool), log, dimensions)


def test_the_direction_that_histories_keep_to_is_found() -> None:
    vectors = names()
    one = found(vectors, histories(vectors[:, 2]))
    assert one.correlations[0] > 0.4 > 0.15 > one.correlations[1]
    assert one.chance[0] < 0.15
    placed = one.vectors(vectors)
    assert abs(np.corrcoef(placed[:, 0], vectors[:, 2])[0, 1]) > 0.98
    assert placed[:, 0].std() == pytest.approx(one.beyond_chance[0], rel=0.2)
    assert placed[:, 1:].std() < 0.1 * placed[:, 0].std()


def test_names_that_say_nothing_are_near_zero() -> None:
    vectors = names()
    placed = found(vectors, histories(names(5)[:, 0])).vectors(vectors)
    assert placed.std() < 0.05


def test_it_is_the_formula() -> None:
    vectors = names()
    log = histories(vectors[:, 0], users=40, length=3)
    z, there = vectors.astype(np.float64), np.ones(ITEMS, bool)
    there[:20] = False
    of = [[item - 1 for item in log[user] if there[item - 1]] for user in range(len(log))]
    all_of = np.concatenate(of).astype(int)
    covariance = np.cov(z[all_of].T, bias=True)
    variances, axes = np.linalg.eigh(covariance)
    whiten = axes / np.sqrt(variances + RIDGE * variances.mean())
    z = (z - z[all_of].mean(0)) @ whiten
    listed = [log[user] - 1 for user in range(len(log))]
    pairs = [(a, b) for one in listed for a, b in pairwise(one) if there[a] and there[b] and a != b]
    c = sum(np.outer(z[a], z[b]) + np.outer(z[b], z[a]) for a, b in pairs) / 2 / len(pairs)
    got = agreement(vectors, there, log, WIDTH)
    np.testing.assert_allclose(got.correlations, np.linalg.eigvalsh(c)[::-1], atol=1e-5)
    placed = (vectors - got.mean) @ got.directions  # Q'z, up to signs
    np.testing.assert_allclose(np.abs(placed), np.abs(z @ np.linalg.eigh(c)[1][:, ::-1]), atol=1e-3)


def test_repeats_and_the_next_user_say_nothing() -> None:
    vectors = names()
    repeats = Histories.from_sequences([[item, item, item] for item in range(1, ITEMS + 1)])
    assert found(vectors, repeats).correlations == pytest.approx(0)


def test_fewer_directions_than_asked_are_zeros() -> None:
    vectors = names()
    one = found(vectors, histories(vectors[:, 0]), dimensions=9)
    assert one.directions.shape == (WIDTH, 9)
    assert (one.vectors(vectors)[:, WIDTH:] == 0).all()


def test_it_is_said_in_words() -> None:
    vectors = names()
    one = found(vectors, histories(vectors[:, 0]))
    assert one.line().startswith("names of consecutive items agree with correlation 0.")
    assert set(one.to_json()) == {"correlations", "by_chance"}


def test_no_copy_of_all_names_is_made() -> None:
    vectors = np.random.default_rng(0).standard_normal((1 << 16, 64)).astype(np.float32)
    log = Histories.from_sequences([[1, 2, 3]])
    tracemalloc.start()
    try:
        found(vectors, log)
        assert tracemalloc.get_traced_memory()[1] < vectors.nbytes
    finally:
        tracemalloc.stop()
