"""The smallest gain that a study can see: it is seen as often as promised, and follows from its size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mltfr.evaluation.crossed import compare_seeds
from mltfr.evaluation.power import Spread, visible


def scores(random: np.random.Generator, spread: Spread, users: int, seeds: int, gain: float) -> list[np.ndarray]:
    user = random.normal(size=users)
    return [
        user + spread.users / 2**0.5 * random.normal(size=users) + luck * random.normal(size=(seeds, 1))
        + spread.noise * random.normal(size=(seeds, users)) + shift
        for luck, shift in zip(spread.seeds, (gain, 0.0), strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_smallest_visible_gain_is_found_as_often_as_promised(seeds: int) -> None:
    spread, users = Spread(users=0.2, noise=0.2, seeds=(0.02, 0.005)), 200
    found = visible(spread, users, (seeds, seeds))
    random = np.random.default_rng(0)
    studies = [scores(random, spread, users, seeds, found.smallest) for _ in range(300)]
    power = np.mean([compare_seeds(*study, draws=2).p < 0.05 for study in studies])
    assert stats.binom.ppf(0.001, 300, 0.8) / 300 <= power <= stats.binom.ppf(0.999, 300, 0.8) / 300
    errors = [np.subtract(*(side.mean() for side in study)) for study in studies]
    assert np.std(errors) == pytest.approx(found.standard_error, rel=0.15)


def test_of_one_training_each_it_is_that_of_the_paired_t_test() -> None:
    found = visible(Spread(users=1.0, noise=1.0, seeds=(5.0, 5.0)), 900, (1, 1))
    assert found.standard_error == pytest.approx((3 / 900) ** 0.5)
    assert found.smallest / found.standard_error == pytest.approx(1.96 + 0.84, rel=0.03)


def test_more_users_and_more_seeds_see_more() -> None:
    spread = Spread(users=0.2, noise=0.1, seeds=(0.003, 0.003))
    of_seeds = [visible(spread, 1000, (seeds, seeds)).smallest for seeds in (2, 3, 5, 9)]
    of_users = [visible(spread, users, (3, 3)).smallest for users in (100, 1000, 10_000)]
    assert of_seeds == sorted(of_seeds, reverse=True)
    assert of_users == sorted(of_users, reverse=True)


def test_the_spread_is_measured_as_it_was_made() -> None:
    random = np.random.default_rng(1)
    spread = Spread(users=0.3, noise=0.2, seeds=(0.05, 0.0))
    found = [Spread.of(*scores(random, spread, 400, 4, 0.0)) for _ in range(200)]
    assert np.mean([one.users**2 for one in found]) == pytest.approx(0.09, rel=0.05)
    assert np.mean([one.noise for one in found]) == pytest.approx(0.2, rel=0.02)
    assert np.mean([one.seeds[0] ** 2 for one in found]) == pytest.approx(0.0025, rel=0.15)
    assert np.mean([one.seeds[1] for one in found]) < 0.01
    alone = Spread.of(*(values[:1] for values in scores(random, spread, 40_000, 1, 0.0)))
    assert (alone.noise, alone.seeds) == (0.0, (0.0, 0.0))
    assert alone.users**2 == pytest.approx(0.09 + 2 * 0.04, rel=0.03)


def test_recommenders_that_never_differ_hide_nothing() -> None:
    assert visible(Spread.of(np.ones((2, 5)), np.ones((3, 5))), 5, (2, 3)).smallest == 0
