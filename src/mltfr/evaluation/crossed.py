"""Compare two recommenders, each trained with several seeds: users and seeds are both random.

Users are a sample, and so are seeds: a test that takes the seeds as given tells whether these very trainings differ,
and finds that two trainings of one and the same recommender do. Here users and seeds are crossed random effects
without replication, as are subjects and words in Clark (1973):

    y[s, u] = mean + user[u] + seed[s] + noise[s, u]

The users are the same for both recommenders. Their seeds are not: seed 1 of the one has nothing to do with seed 1
of the other, so each side has a seed component of its own, as each sample has in Welch's test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy  # its parts are imported on use: `stats` takes a second

from mltfr.errors import DataError
from mltfr.evaluation.bootstrap import bootstrap_differences
from mltfr.evaluation.metrics import Values

TestName = Literal["users-and-seeds", "t", "wilcoxon"]
"""How p is computed; "t" and "wilcoxon" pair the users' means over the seeds and take the seeds as given."""
Part = tuple[Any, float]
"""A part of the variance of a difference, the users' or one side's seeds', and its degrees of freedom; the part may be
an array, one a study."""


@dataclass(frozen=True)
class SeededTest:
    """The difference of two recommenders, each trained with several seeds.

    Attributes:
        difference: mean of first minus second.
        low: lower end of the bootstrap interval over users and seeds.
        high: its upper end.
        p: p value of the test that was asked for, two-sided.
        standard_error: of the difference, users and seeds random.
        critical: how many standard errors a difference needs to lie outside of its interval around zero, by
            `crossed_p`.
        seeds_random: whether p holds for other seeds too. False for "t" and "wilcoxon", and where a recommender
            has one seed only: its variance over seeds is then unknown, and p is about these trainings alone.
    """

    difference: float
    low: float
    high: float
    p: float
    standard_error: float
    critical: float
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
    quotient of `SeededTest.critical` and the normal quantile: percentiles know nothing of how few seeds there were
    (Hesterberg 2015 widens percentiles for the same reason).

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
    parts = variance_parts(first, second)
    variance = sum(part for part, _ in parts)
    low = high = difference
    normal = critical = float(scipy.special.ndtri((1 + confidence) / 2))
    if variance > 0:
        samples = bootstrap_differences(first, second, draws, np.random.default_rng(seed))
        ends = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
        critical = _critical(parts, 1 - confidence)
        low, high = (difference + critical / normal * (float(end) - difference) for end in ends)
    return SeededTest(
        difference=difference,
        low=low,
        high=high,
        p=_p(test, by_user, parts),
        standard_error=float(np.sqrt(variance)),
        critical=critical,
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


def crossed_p(difference: Any, parts: Sequence[Part]) -> Any:
    """Return the two-sided p value of a difference, or of many, from the parts of its variance.

    Every part was estimated with degrees of freedom of its own, so its tail is that of a t with them, and p is the mean
    of these tails, weighed by the parts' shares of the variance (Cochran and Cox 1950 weigh the critical values so).
    A single degree of freedom, as a variance over two seeds has, is too few for any mixture: wherever such a part is
    there, p is the tail with one, which is never too small (Mickey and Brown 1966).

    Satterthwaite's degrees of freedom, as in Clark's quasi-F, reject up to 13 % instead of 5 % where the seeds of one
    side vary and those of the other do not.

    Args:
        difference: a number, or an array.
        parts: parts that add up to the variance, at least one of them above zero.
    """
    variance = sum(part for part, _ in parts)
    t = np.abs(difference) / np.sqrt(variance)
    tails = [(part, freedom, 2 * scipy.special.stdtr(freedom, -t)) for part, freedom in parts]
    single = sum(part for part, freedom, _ in tails if freedom == 1)
    return np.where(single > 0, 2 * scipy.special.stdtr(1, -t), sum(part / variance * tail for part, _, tail in tails))


def variance_parts(first: Values, second: Values) -> list[Part]:
    """Return the parts of the variance of the mean difference: the users' and either side's seeds'.

    On one side alone the variance of the grand mean is (MS_users + MS_seeds - MS_noise) / (S U), MS being the mean
    squares of the analysis of variance (Clark 1973). Of two sides the users' part is that of the users' differences,
    and either adds (MS_seeds - MS_noise) / (S U), at least 0; nothing where there is one seed.
    """
    by_user = first.mean(0) - second.mean(0)                                       # [U]
    parts: list[Part] = [(float(by_user.var(ddof=1)) / len(by_user), len(by_user) - 1)]
    for values in (first, second):
        if len(values) > 1:
            seeds, noise = seed_parts(values)
            parts.append((max(0.0, seeds - noise), len(values) - 1))
    return parts


def _critical(parts: Sequence[Part], level: float) -> float:
    """Return the difference in standard errors whose p is `level`."""
    scale = np.sqrt(sum(part for part, _ in parts))
    most = -scipy.special.stdtrit(1, level / 4)
    return float(scipy.optimize.brentq(lambda t: float(crossed_p(t * scale, parts)) - level, 0, most))


def seed_parts(values: Values) -> tuple[float, float]:
    """Return MS_seeds / (S U) and MS_noise / (S U) of values `[S, U]`; a single seed tells of neither, so two zeros."""
    seeds, users = values.shape
    if seeds == 1:
        return 0.0, 0.0
    of_seed = values.mean(1, keepdims=True)                                        # [S, 1]
    noise = values - values.mean(0) - of_seed + values.mean()                      # [S, U]
    mean_square = float((noise**2).sum()) / ((seeds - 1) * (users - 1))
    return float(of_seed.var(ddof=1)) / seeds, mean_square / (seeds * users)


def _p(test: TestName, by_user: Values, parts: Sequence[Part]) -> float:
    if not by_user.any():
        return 1.0
    if test == "wilcoxon":
        return float(scipy.stats.wilcoxon(by_user).pvalue)
    if test == "t":
        parts = parts[:1]
    difference = float(by_user.mean())
    if sum(part for part, _ in parts) == 0:  # every user differs by the same amount
        return 0.0 if difference else 1.0
    return float(crossed_p(difference, parts))
