"""Bootstrap means: of users, and of users and seeds together, without a draws x users matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mltfr.evaluation.metrics import Values

LEVEL = 0.05
"""A difference is taken for real where p, after Holm over several, is below."""
_DRAWS_AT_ONCE = 1 << 21

Counts = npt.NDArray[np.float64]


def is_real(p: float) -> bool:
    """Return whether a difference is taken for real: p alone decides; of few users, intervals are too narrow."""
    return p < LEVEL


def bootstrap_means(values: Values, draws: int, random: np.random.Generator) -> Values:
    """Return the means of `draws` samples of the users with replacement, `[U] -> [draws]`."""
    means = np.empty(draws)
    for some in _chunks(draws, len(values)):
        users = random.integers(len(values), size=(some.stop - some.start, len(values)))
        means[some] = values[users].mean(1)
    return means


def bootstrap_differences(first: Values, second: Values, draws: int, random: np.random.Generator) -> Values:
    """Return the difference of the means in samples of the users and of each side's seeds, `[draws]`.

    Users are drawn with replacement and are the same for both sides; the seeds of the two sides have nothing to
    do with each other and are drawn apart. Drawing rows and columns independently is the pigeonhole bootstrap
    (Owen 2007), which never understates the variance of the user-seed noise. Of S seeds S - 1 are drawn: S of S
    would understate the variance of a mean of few seeds by (S - 1) / S (Rao and Wu 1988). A single
    seed is kept as it is.

    Args:
        first: `[S, U]`.
        second: `[S', U]`.
        draws: bootstrap samples.
        random: where they come from.
    """
    differences = np.empty(draws)
    for some in _chunks(draws, first.shape[1]):
        users = _counts(some.stop - some.start, first.shape[1], random)           # [draws, U]
        differences[some] = _means(first, users, random) - _means(second, users, random)
    return differences


def _means(values: Values, users: Counts, random: np.random.Generator) -> Values:
    of_seeds = users @ values.T / values.shape[1]                                 # [draws, S]
    drawn = random.integers(len(values), size=(len(users), max(1, len(values) - 1)))
    return np.take_along_axis(of_seeds, drawn, axis=1).mean(1)           # [draws]


def _counts(draws: int, users: int, random: np.random.Generator) -> Counts:
    """Return how often each user is in each sample, `[draws, U]`."""
    drawn = random.integers(users, size=(draws, users)) + users * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * users).reshape(draws, users).astype(np.float64)


def _chunks(draws: int, users: int) -> Iterator[slice]:
    at_once = max(1, _DRAWS_AT_ONCE // users)
    for start in range(0, draws, at_once):
        yield slice(start, min(start + at_once, draws))
