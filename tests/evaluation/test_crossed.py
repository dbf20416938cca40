"""Comparing recommenders under several seeds: the formulas by hand, the fallbacks, the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mltfr.errors import DataError
from mltfr.evaluation.bootstrap import bootstrap_differences, bootstrap_means
from mltfr.evaluation.crossed import compare_seeds, crossed_p
from mltfr.evaluation.significance import paired_test

FIRST = np.array([[0.9, 0.2, 0.7, 0.1], [0.3, 0.1, 0.4, 0.0], [0.8, 0.6, 0.9, 0.3]])
SECOND = np.array([[0.1, 0.2, 0.3, 0.1], [0.9, 0.4, 0.8, 0.6]])
THREE = np.array([[0.1, 0.2, 0.3, 0.1], [0.9, 0.4, 0.8, 0.6], [0.5, 0.6, 0.7, 0.2]])


@pytest.mark.parametrize("second", [SECOND, THREE], ids=["two seeds", "three seeds"])
def test_the_variance_and_p_by_hand(second: np.ndarray) -> None:
    """Mean squares by plain loops over cells, then the formulas as they stand."""
    users = len(FIRST[0])
    parts = [(np.var(FIRST.mean(0) - second.mean(0), ddof=1) / users, users - 1)]
    for values in (FIRST, second):
        seeds = len(values)
        of_seeds = users * sum((row.mean() - values.mean()) ** 2 for row in values) / (seeds - 1)
        noise = sum(
            (values[s, u] - values[s].mean() - values[:, u].mean() + values.mean()) ** 2
            for s in range(seeds) for u in range(users)
        ) / ((seeds - 1) * (users - 1))  # fmt: skip
        assert of_seeds > noise
        parts.append(((of_seeds - noise) / (seeds * users), seeds - 1))
    test = compare_seeds(FIRST, second)
    variance = sum(part for part, _ in parts)
    t = abs(FIRST.mean() - second.mean()) / np.sqrt(variance)
    if second is THREE:
        expected = sum(part / variance * 2 * stats.t.sf(t, freedom) for part, freedom in parts)
    else:
        expected = 2 * stats.t.sf(t, 1)
    assert test.standard_error == pytest.approx(np.sqrt(variance))
    assert test.difference == pytest.approx(FIRST.mean() - second.mean())
    assert test.p == pytest.approx(expected)
    assert crossed_p(test.critical * test.standard_error, parts) == pytest.approx(0.05)
    assert test.seeds_random


def test_seeds_less_different_than_noise_count_as_no_luck() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 3, 50))
    first -= first.mean(1, keepdims=True)  # all seeds have the same mean: the estimate would be negative
    second -= second.mean(1, keepdims=True) - 0.2
    test = compare_seeds(first, second)
    assert test.critical == pytest.approx(stats.t.ppf(0.975, 49))
    assert test.p == pytest.approx(stats.ttest_rel(first.mean(0), second.mean(0)).pvalue)


def test_a_single_seed_is_a_test_over_users_and_says_so() -> None:
    random = np.random.default_rng(0)
    first, second = random.random((2, 1, 40))
    test = compare_seeds(first, second)
    assert not test.seeds_random
    assert test.p == pytest.approx(stats.ttest_rel(first[0], second[0]).pvalue)
    assert not compare_seeds(np.repeat(first, 3, axis=0), second).seeds_random


def test_seeds_of_the_two_sides_are_not_pairs() -> None:
    assert compare_seeds(FIRST, SECOND) == compare_seeds(FIRST, SECOND)
    turned = compare_seeds(FIRST[[2, 0, 1]], SECOND[::-1])
    assert turned.p == pytest.approx(compare_seeds(FIRST, SECOND).p)


def test_t_and_wilcoxon_take_the_seeds_as_given() -> None:
    by_user = FIRST.mean(0) - SECOND.mean(0)
    old = paired_test(FIRST.mean(0), SECOND.mean(0))
    assert compare_seeds(FIRST, SECOND, "t").p == pytest.approx(old.t_test)
    assert compare_seeds(FIRST, SECOND, "wilcoxon").p == pytest.approx(stats.wilcoxon(by_user).pvalue)
    assert not compare_seeds(FIRST, SECOND, "t").seeds_random


@pytest.mark.parametrize("test", ["users-and-seeds", "t", "wilcoxon"])
def test_no_difference_and_a_constant_one(test: str) -> None:
    same = compare_seeds(np.ones((2, 5)), np.ones((3, 5)), test)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert compare_seeds(FIRST, FIRST.copy(), test).p == 1
    constant = compare_seeds(np.ones((2, 5)), np.zeros((3, 5)), test)
    assert (constant.difference, constant.low, constant.high) == (1, 1, 1)
    assert constant.p == pytest.approx(0.0625 if test == "wilcoxon" else 0)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match=r"\[seeds, users\] of the same users, at least 2, twice; got \(2, 3\)"):
        compare_seeds(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(DataError, match="needs a seed on both sides; got 0 and 2"):
        compare_seeds(np.ones((0, 3)), np.ones((2, 3)))


def test_the_bootstrap_has_the_variance_it_should_have(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=200) + 0.5 * random.normal(size=(3, 1)) + np.zeros((3, 200))  # no noise: exact
    second = np.zeros((1, 200))
    expected = first.mean(0).var() / 200 + first.mean(1).var(ddof=1) / 3
    samples = bootstrap_differences(first, second, 20_000, np.random.default_rng(1))
    assert samples.var() == pytest.approx(expected, rel=0.05)
    assert samples.mean() == pytest.approx(first.mean(), abs=0.02)
    monkeypatch.setattr("mltfr.evaluation.bootstrap._DRAWS_AT_ONCE", 1000)
    parts = bootstrap_differences(first, second, 2000, np.random.default_rng(1))
    assert parts.shape == (2000,)
    assert parts.var() == pytest.approx(expected, rel=0.15)
    means = bootstrap_means(first[0], 2000, np.random.default_rng(1))
    assert means.var() == pytest.approx(first[0].var() / 200, rel=0.15)


def test_samples_of_equal_values_have_their_mean() -> None:
    first, second = np.full((3, 4), 5.0), np.full((2, 4), 2.0)
    assert bootstrap_differences(first, second, 50, np.random.default_rng(0)) == pytest.approx(np.full(50, 3.0))
