"""Compare two recommenders, each trained with several seeds: users and seeds are both random.

Users are a sample, and so are seeds: a test that takes the seeds as given tells whether these very trainings differ,
and finds that two trainings of one and the same recommender do. Here users and seeds are crossed random effects
without replication, as are subjects and words in Clark (1973):

    y[s, u] = mean + user[u] + seed[s] + noise[s, u]

The users are the same for both recommenders. Their seeds are not: seed 1 of the one has nothing to do with seed 1
of the other, so each side has a seed component of its own, as each sample has in Welch's test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from mltfr.errors import DataError
from mltfr.evaluation.bootstrap import bootstrap_differences
from mltfr.evaluation.metrics import Values

TestName = Literal["users-and-seeds", "t", "wilcoxon"]
"""How p is computed; "t" and "wilcoxon" pair the users' means over the seeds and take the seeds as given."""


@dataclass(frozen=True)
class SeededTest:
    """The difference of two recommenders, each trained with several seeds.

    Attributes:
        difference: mean of first minus second.
        low: lower end of the bootstrap interval over users and seeds.
        high: its upper end.
        p: p value of the test that was asked for, two-sided.
        standard_error: of the difference, users and seeds random.
        freedom: its degrees of freedom (Satterthwaite 1946).
        seeds_random: whether p holds for other seeds too. False for "t" and "wilcoxon", and where a recommender
            has one seed only: its variance over seeds is then unknown, and p is about these trainings alone.
    """

    difference: float
    low: float
    high: float
    p: float
    standard_error: float
    freedom: float
    seeds_random: bool


def compare_seeds(
    first: Values,
    second: Values,
    test: TestName = "users-and-seeds",
    *,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> SeededTest:
    """Compare two recommenders by one metric of the same users under several seeds each.

    The interval is that of the bootstrap over users and seeds, its ends moved away from the difference by the
    quotient of the t and the normal quantile: percentiles know nothing of how few seeds there were (Hesterberg
    2015 widens percentiles for the same reason).

    Args:
        first: the metric of every seed and user, `[S, U]`.
        second: the other recommender's, `[S', U]`, users in the same order.
        test: which p value.
        confidence: of the interval.
        draws: bootstrap samples.
        seed: seed of these draws.

    Raises:
        DataError: the users differ in number, or there are fewer than two, or no seed.
    """
    _check(first, second)
    by_user = first.mean(0) - second.mean(0)                                       # [U]
    difference = float(by_user.mean())
    variance, freedom = _variance(first, second, by_user)
    low = high = difference
    if variance > 0:
        samples = bootstrap_differences(first, second, draws, np.random.default_rng(seed))
        ends = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
        wider = stats.t.ppf((1 + confidence) / 2, freedom) / stats.norm.ppf((1 + confidence) / 2)
        low, high = (difference + float(wider) * (float(end) - difference) for end in ends)
    return SeededTest(
        difference=difference,
        low=low,
        high=high,
        p=_p(test, by_user, variance, freedom),
        standard_error=float(np.sqrt(variance)),
        freedom=freedom,
        seeds_random=test == "users-and-seeds" and min(len(first), len(second)) > 1,
    )


def _check(first: Values, second: Values) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or first.shape[1] < 2:
        raise DataError(
            "A comparison needs values [seeds, users] of the same users, at least 2, twice; "
            f"got {first.shape} and {second.shape}."
        )
    if not len(first) or not len(second):
        raise DataError(f"A comparison needs a seed on both sides; got {len(first)} and {len(second)}.")


def _variance(first: Values, second: Values, by_user: Values) -> tuple[float, float]:
    """Return the variance of the mean difference, and its degrees of freedom.

    On one side alone the variance of the grand mean is (MS_users + MS_seeds - MS_noise) / (S U), MS being the mean
    squares of the analysis of variance; its degrees of freedom are those of a sum of mean squares (Satterthwaite
    1946), as in Clark's quasi-F. Of two sides the users' part is that of the users' differences,
    and either adds (MS_seeds - MS_noise) / (S U), at least 0.
    """
    users = float(by_user.var(ddof=1)) / len(by_user)
    variance, squares = users, users**2 / (len(by_user) - 1)
    for values in (first, second):
        seeds, noise = _seed_parts(values)
        if seeds > noise:
            variance += seeds - noise
            squares += (seeds**2 + noise**2 / (len(by_user) - 1)) / (len(values) - 1)
    return variance, variance**2 / squares if squares > 0 else float(len(by_user) - 1)


def _seed_parts(values: Values) -> tuple[float, float]:
    """Return MS_seeds / (S U) and MS_noise / (S U) of values `[S, U]`; zeros for a single seed."""
    seeds, users = values.shape
    if seeds == 1:
        return 0.0, 0.0
    of_seed = values.mean(1, keepdims=True)                                        # [S, 1]
    noise = values - values.mean(0) - of_seed + values.mean()                      # [S, U]
    mean_square = float((noise**2).sum()) / ((seeds - 1) * (users - 1))
    return float(of_seed.var(ddof=1)) / seeds, mean_square / (seeds * users)


def _p(test: TestName, by_user: Values, variance: float, freedom: float) -> float:
    if not by_user.any():
        return 1.0
    if test == "wilcoxon":
        return float(stats.wilcoxon(by_user).pvalue)
    if test == "t":
        variance, freedom = float(by_user.var(ddof=1)) / len(by_user), len(by_user) - 1
    difference = float(by_user.mean())
    if variance == 0:  # every user differs by the same amount
        return 0.0 if difference else 1.0
    return float(2 * stats.t.sf(abs(difference) / np.sqrt(variance), freedom))
