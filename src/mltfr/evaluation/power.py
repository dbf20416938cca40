"""What a comparison of this size can see: the standard error of a gain, and the smallest gain that it finds.

The model is that of `crossed`. A gain is found if p is below 5 %; the smallest one that is found is the gain for which
that happens in 80 % of studies, by drawing the mean squares of many studies and testing each as `crossed_p` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltfr.evaluation.bootstrap import LEVEL
from mltfr.evaluation.crossed import Part, crossed_p, seed_parts, variance_parts
from mltfr.evaluation.metrics import Values

POWER = 0.8
"""Share of studies in which the smallest visible gain is found."""
STUDIES = 2000
"""Studies that are drawn."""


@dataclass(frozen=True)
class Spread:
    """How much the scores of two recommenders vary, as standard deviations.

    Attributes:
        users: of the difference of the two from user to user, without noise.
        noise: of a user's score from training to training, beyond what moves all users alike.
        seeds: of the mean score of each from seed to seed.
    """

    users: float
    noise: float = 0.0
    seeds: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, first: Values, second: Values) -> Spread:
        """Return the spread of measured scores `[S, U]` and `[S', U]` of the same users; one seed has no noise."""
        (by_user, _), *_ = variance_parts(first, second)
        parts = [(values, *seed_parts(values)) for values in (first, second)]
        noises = [of_noise * values.size for values, _, of_noise in parts if len(values) > 1]
        noise = float(np.mean(noises)) if noises else 0.0
        users = by_user * first.shape[1] - noise / len(first) - noise / len(second)
        one, other = (max(0.0, of_seeds - of_noise) * len(values) for values, of_seeds, of_noise in parts)
        return cls(max(0.0, users) ** 0.5, noise**0.5, (one**0.5, other**0.5))


@dataclass(frozen=True)
class Visible:
    """What a study sees of a gain.

    Attributes:
        standard_error: of the gain.
        smallest: the gain that is found in `POWER` of such studies.
    """

    standard_error: float
    smallest: float


def visible(
    spread: Spread, users: int, seeds: tuple[int, int], *, level: float = LEVEL, power: float = POWER
) -> Visible:
    """Return the standard error of a gain, and the smallest one that a study of this size finds.

    Args:
        spread: how much scores vary. A side with a single seed has no variance over seeds: p is about its training.
        users: number of users U, at least 2.
        seeds: number of seeds of either side.
        level: what p has to be below.
        power: how often.
    """
    error, parts = draw_parts(spread, users, seeds, STUDIES)
    if not error:
        return Visible(0.0, 0.0)
    errors = error * np.random.default_rng(1).standard_normal(STUDIES)
    low, high = 0.0, error
    while _found(high, errors, parts, level) < power:
        low, high = high, 2 * high
    while high - low > 0.01 * error:
        middle = (low + high) / 2
        low, high = (low, middle) if _found(middle, errors, parts, level) >= power else (middle, high)
    return Visible(error, high)


def draw_parts(
    spread: Spread, users: int, seeds: tuple[int, int], studies: int, seed: int = 0
) -> tuple[float, list[Part]]:
    """Return the true standard error of a gain, and the parts of its variance as many studies estimate them.

    A mean square with f degrees of freedom is drawn as its expectation times a chi square, divided by f.

    Args:
        spread: how much scores vary.
        users: number of users U.
        seeds: number of seeds of either side.
        studies: number of studies.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)

    def mean_square(expected: float, freedom: int) -> npt.NDArray[np.float64]:
        return expected * random.chisquare(freedom, studies) / freedom

    noise = spread.noise**2 / users
    of_users = spread.users**2 / users + noise / seeds[0] + noise / seeds[1]
    variance, parts = of_users, [(mean_square(of_users, users - 1), float(users - 1))]
    for count, moved in zip(seeds, spread.seeds, strict=True):
        if count > 1:
            variance += moved**2 / count
            square = mean_square((moved**2 + noise) / count, count - 1)
            expected_noise = mean_square(noise / count, (count - 1) * (users - 1))
            parts.append((np.maximum(square - expected_noise, 0), float(count - 1)))
    return float(variance**0.5), parts


def _found(gain: float, errors: npt.NDArray[np.float64], parts: list[Part], level: float) -> float:
    return float(np.mean(crossed_p(gain + errors, parts) < level))
