"""Paired tests of two recommenders on the same users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy  # its parts are imported on use: `stats` takes a second

from mltfr.errors import DataError
from mltfr.evaluation.bootstrap import bootstrap_means
from mltfr.evaluation.evaluate import Evaluation
from mltfr.evaluation.metrics import Values

Name = TypeVar("Name")


@dataclass(frozen=True)
class PairedTest:
    """The difference of two recommenders, user by user.

    Attributes:
        difference: mean of first minus second.
        low: lower end of the bootstrap interval of that mean.
        high: its upper end.
        t_test: p value of the paired t-test, two-sided.
        wilcoxon: p value of the Wilcoxon signed-rank test, two-sided; users without difference are dropped.
    """

    difference: float
    low: float
    high: float
    t_test: float
    wilcoxon: float


def paired_test(
    first: Values, second: Values, *, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> PairedTest:
    """Compare two recommenders by one metric of the same users.

    Args:
        first: the metric of every user, `[U]`.
        second: the other recommender's, `[U]`, users in the same order.
        confidence: of the percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).
        draws: bootstrap samples of the users.
        seed: seed of these draws.

    Raises:
        DataError: the arrays differ in length or hold fewer than two users.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise DataError(
            f"A paired test needs the same users twice, at least 2; got {first.shape} and {second.shape}."
        )
    difference = first - second
    if not difference.any():
        return PairedTest(0.0, 0.0, 0.0, 1.0, 1.0)
    means = bootstrap_means(difference, draws, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    constant = bool(np.all(difference == difference[0]))  # then t is infinite
    return PairedTest(
        difference=float(difference.mean()),
        low=float(low),
        high=float(high),
        t_test=0.0 if constant else float(scipy.stats.ttest_1samp(difference, 0.0).pvalue),
        wilcoxon=float(scipy.stats.wilcoxon(difference).pvalue),
    )


def per_user(evaluation: Evaluation, metric: str) -> Values:
    """Return the mean of a metric ("ndcg@10") over each user's examples, `[U]`, users ascending."""
    _, user = np.unique(evaluation.user, return_inverse=True)
    totals = np.bincount(user, weights=evaluation.per_example[metric])
    return np.asarray(totals / np.bincount(user), np.float64)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Return p values corrected for multiple testing (Holm 1979); compare them with the level as they are."""
    count = len(p_values)
    corrected: dict[Name, float] = {}
    largest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda entry: entry[1])):
        largest = max(largest, min(1.0, (count - rank) * p))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}
