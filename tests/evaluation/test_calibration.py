"""Repeated synthetic studies: no difference is claimed where there is none, and planted ones are found.

A user's score is made up of the user, of training luck that all users of one training share, and of noise. With luck
as large as here, half of the trainings of one recommender differ "significantly" by a test over users alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from mltfr.evaluation.crossed import TestName, compare_seeds
from mltfr.evaluation.significance import holm

STUDIES = 400
USERS = 200
BOUND = stats.binom.ppf(0.999, STUDIES, 0.05) / STUDIES  # .09: above it, the level is not .05


def trainings(
    random: np.random.Generator, seeds: int, luck: float, taste: float, gain: float = 0.0, count: int = 2,
    users: int = USERS,
) -> list[npt.NDArray[np.float64]]:
    """Return values [seeds, users] of recommenders that differ by `gain` on average, the first being the worse.

    `luck` moves a whole training; `taste` is how far recommenders differ from user to user, without one being better.
    """
    user = 0.3 * random.normal(size=users)
    return [
        user + taste * random.normal(size=users) + luck * random.normal(size=(seeds, 1))
        + 0.2 * random.normal(size=(seeds, users)) + (gain if number else 0.0)
        for number in range(count)
    ]  # fmt: skip


def rejected(test: TestName, seeds: int, luck: float, taste: float, gain: float = 0.0, users: int = USERS) -> float:
    random = np.random.default_rng(0)
    tests = [
        compare_seeds(*trainings(random, seeds, luck, taste, gain, users=users), test, draws=2)
        for _ in range(STUDIES)
    ]
    return float(np.mean([found.p < 0.05 for found in tests]))


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("luck", "taste"), [(0, 0), (0, 0.15), (0.02, 0), (0.02, 0.15), (0.1, 0.15)])
def test_same_recommenders_do_not_differ(seeds: int, luck: float, taste: float) -> None:
    assert rejected("users-and-seeds", seeds, luck, taste) <= BOUND


@pytest.mark.parametrize("test", ["t", "wilcoxon"])
def test_why_users_alone_do_not_do(test: TestName) -> None:
    assert rejected(test, 3, luck=0, taste=0.15) <= BOUND
    assert rejected(test, 3, luck=0.1, taste=0.15) > 0.5


def test_planted_effects_are_found() -> None:
    """As +5 % of a score that seeds move by 1 or 2 %."""
    assert rejected("users-and-seeds", 3, luck=0.01, taste=0.1, gain=0.05, users=1000) > 0.9
    assert rejected("users-and-seeds", 5, luck=0.02, taste=0.1, gain=0.05, users=1000) > 0.8
    assert rejected("users-and-seeds", 2, luck=0.01, taste=0.1, gain=0.05, users=1000) > 0.4  # two seeds are few


@pytest.mark.parametrize(("seeds", "luck"), [(2, 0.02), (3, 0.0), (3, 0.1), (5, 0.02)])
def test_intervals_hold_the_true_difference(seeds: int, luck: float) -> None:
    random = np.random.default_rng(0)
    tests = [compare_seeds(*trainings(random, seeds, luck, 0.1, 0.05), draws=200) for _ in range(200)]
    covered = np.mean([test.low <= -0.05 <= test.high for test in tests])
    assert covered >= stats.binom.ppf(0.001, 200, 0.95) / 200


def test_holm_over_a_table_keeps_the_whole_table_honest() -> None:
    """Five fusions against one bare backbone, all the same: the bare one's luck is in every comparison."""
    random = np.random.default_rng(0)
    wrong = {"holm": 0, "uncorrected": 0}
    for _ in range(STUDIES):
        bare, *fusions = trainings(random, seeds=3, luck=0.05, taste=0.1, count=6)
        p = {str(number): compare_seeds(fusion, bare, draws=2).p for number, fusion in enumerate(fusions)}
        wrong["holm"] += min(holm(p).values()) < 0.05
        wrong["uncorrected"] += min(p.values()) < 0.05
    assert wrong["holm"] / STUDIES <= BOUND
    assert wrong["uncorrected"] / STUDIES > 0.1


def test_a_user_who_is_tested_in_several_windows_is_one_user() -> None:
    """As a backtest averages: the mean over a user's windows first. Windows as further users claim too much."""
    random = np.random.default_rng(0)
    wrong = {"averaged": 0, "as further users": 0}
    for _ in range(STUDIES):
        tested = random.random((USERS, 4)) < 0.5                                             # [U, W]
        tested[np.arange(USERS), random.integers(0, 4, USERS)] = True
        sides = [
            of_user[..., None] + 0.01 * random.normal(size=(3, 1, 4)) + 0.3 * random.normal(size=(3, USERS, 4))
            for of_user in trainings(random, seeds=3, luck=0, taste=0.4)
        ]  # [S, U, W]
        averaged = [np.where(tested, side, 0).sum(2) / tested.sum(1) for side in sides]      # [S, U]
        for name, (first, second) in (("averaged", averaged), ("as further users", [s[:, tested] for s in sides])):
            wrong[name] += compare_seeds(first, second, draws=2).p < 0.05
    assert wrong["averaged"] / STUDIES <= BOUND < wrong["as further users"] / STUDIES
