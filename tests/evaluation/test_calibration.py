"""Repeated synthetic studies: no difference is claimed where there is none, and planted ones are found.

A user's score is made up of the user, of training luck that all users of one training share, and of noise. With luck
as large as here, half of the trainings of one recommender differ "significantly" by a test over users alone.

Whole studies are few; tens of thousands are drawn by their mean squares, which is all that the test reads of them.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from mltfr.evaluation.crossed import TestName, compare_seeds, crossed_p
from mltfr.evaluation.power import Spread, draw_parts
from mltfr.evaluation.significance import holm

pytestmark = pytest.mark.slow

STUDIES = 400
USERS = 200
BOUND = stats.binom.ppf(0.999, STUDIES, 0.05) / STUDIES  # .09: above it, the level is not .05
MANY = 20_000
TIGHT = stats.binom.ppf(0.999, MANY, 0.05) / MANY  # .055
LUCK = (0.0, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Standard deviations over seeds, in standard errors of the users' part."""


def trainings(
    random: np.random.Generator, seeds: int, luck: float, taste: float, gain: float = 0.0, count: int = 2,
    users: int = USERS, first: Literal["like the others", "deterministic", "one seed"] = "like the others",
) -> list[npt.NDArray[np.float64]]:
    """Return values [seeds, users] of recommenders that differ by `gain` on average, the first being the worse.

    `luck` moves a whole training; `taste` is how far recommenders differ from user to user, without one being better.
    A deterministic first one has the same values with every seed.
    """
    user = 0.3 * random.normal(size=users)
    found = [
        user + taste * random.normal(size=users) + luck * random.normal(size=(seeds, 1))
        + 0.2 * random.normal(size=(seeds, users)) + (gain if number else 0.0)
        for number in range(count)
    ]  # fmt: skip
    if first != "like the others":
        alone = user + taste * random.normal(size=users)
        found[0] = np.repeat(alone[None], seeds if first == "deterministic" else 1, axis=0)
    return found


def rejected(test: TestName, seeds: int, luck: float, taste: float, **more: Any) -> float:
    random = np.random.default_rng(0)
    tests = [compare_seeds(*trainings(random, seeds, luck, taste, **more), test, draws=2) for _ in range(STUDIES)]
    return float(np.mean([found.p < 0.05 for found in tests]))


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("luck", "taste"), [(0, 0), (0, 0.15), (0.02, 0), (0.02, 0.15), (0.1, 0.15)])
def test_same_recommenders_do_not_differ(seeds: int, luck: float, taste: float) -> None:
    assert rejected("users-and-seeds", seeds, luck, taste) <= BOUND


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("first", ["deterministic", "one seed"])
def test_a_deterministic_side_is_no_better_for_it(seeds: int, first: str) -> None:
    assert rejected("users-and-seeds", seeds, luck=0.1, taste=0.15, first=first) <= BOUND


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("users", [60, 20_000])
@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (5, 5), (2, 5), (5, 2), (3, 1)])
def test_the_level_holds_whichever_side_varies(seeds: tuple[int, int], users: int, noise: float) -> None:
    """The luck of the one side from none to large, that of the other none, a third of it, or as large."""
    unit = ((1 + noise**2 / seeds[0] + noise**2 / seeds[1]) / users) ** 0.5
    for luck in LUCK:
        for other in (0.0, 1 / 3, 1.0):
            spread = Spread(users=1.0, noise=noise, seeds=(luck * unit, other * luck * unit))
            error, parts = draw_parts(spread, users, seeds, MANY)
            difference = error * np.random.default_rng(1).standard_normal(MANY)
            level = np.mean(crossed_p(difference, parts) < 0.05)
            assert level <= TIGHT, f"luck {luck}, and {other} of it: {level}"


def test_why_one_number_of_degrees_of_freedom_does_not_do() -> None:
    """Satterthwaite's (1946), as in Clark's quasi-F, where one side varies over its seeds and the other does not."""
    levels = []
    for seeds in (2, 3):
        error, parts = draw_parts(Spread(users=1.0, seeds=(0.5, 0.0)), 400, (seeds, seeds), MANY)
        variance = sum(part for part, _ in parts)
        freedom = variance**2 / sum(part**2 / of_part for part, of_part in parts)
        t = error * np.random.default_rng(1).standard_normal(MANY) / np.sqrt(variance)
        levels.append(float(np.mean(2 * stats.t.sf(np.abs(t), freedom) < 0.05)))
    assert levels[0] > 0.1
    assert levels[1] > TIGHT


@pytest.mark.parametrize("test", ["t", "wilcoxon"])
def test_why_users_alone_do_not_do(test: TestName) -> None:
    assert rejected(test, 3, luck=0, taste=0.15) <= BOUND
    assert rejected(test, 3, luck=0.1, taste=0.15) > 0.5


def test_planted_effects_are_found() -> None:
    """As +5 % of a score that seeds move by 1 or 2 %; two seeds are too few to rely on."""
    assert rejected("users-and-seeds", 3, luck=0.01, taste=0.1, gain=0.05, users=1000) > 0.75
    assert rejected("users-and-seeds", 5, luck=0.02, taste=0.1, gain=0.05, users=1000) > 0.75
    assert rejected("users-and-seeds", 3, luck=0.005, taste=0.1, gain=0.05, users=1000) > 0.95


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
