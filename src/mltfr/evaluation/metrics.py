"""Metrics of one target, as expectations over the orders of tied items.

With `h` candidates before the target and `t` others tied with it, the target's rank is `h + 1` to
`h + 1 + t`, each with the same probability (McSherry and Najork, "Computing Information Retrieval
Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008). A metric that gives the rank r
a gain `g(r)` is therefore the mean of `g` over these ranks, read off its cumulative sum.

With one target, recall is HR, MAP is MRR, and precision is HR / k. What they are with several is in `target_sets`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator

from mltfr.errors import ConfigError, did_you_mean
from mltfr.evaluation.ranks import Ranks

Values = npt.NDArray[np.float64]

MetricName = Literal["hr", "ndcg", "mrr", "recall", "precision", "map"]
USUAL: tuple[MetricName, ...] = ("hr", "ndcg", "mrr")
"""Those that are measured if nothing is said: of one target, the others tell nothing new."""

GAINS: dict[MetricName, Callable[[Values], Values]] = {
    "hr": np.ones_like,                              # hit rate
    "ndcg": lambda rank: 1 / np.log2(rank + 1),      # the ideal DCG of one target is 1
    "mrr": lambda rank: 1 / rank,                    # reciprocal rank
    "precision": lambda rank: np.ones_like(rank) / len(rank),  # one target among k items
}
GAINS["recall"] = GAINS["hr"]  # all of one target is found, or nothing
GAINS["map"] = GAINS["mrr"]    # the precision at one target's rank
"""What the target at rank 1, 2, ..., k counts; beyond the cutoff it counts nothing."""


def metric_names(names: Sequence[MetricName], cutoffs: Sequence[int]) -> list[str]:
    """Return the metrics with their cutoffs, in the order in which they are measured."""
    return [f"{name}@{k}" for name in names for k in cutoffs]


def split_metric(metric: str) -> tuple[MetricName, int]:
    """Return the name and the cutoff of a metric: "ndcg", 10 of "ndcg@10".

    Raises:
        ConfigError: there is no such metric.
    """
    name, _, cutoff = metric.partition("@")
    for known in get_args(MetricName):
        if name == known and re.fullmatch(r"[1-9][0-9]{0,5}", cutoff):
            return known, int(cutoff)
    hint = "" if name in get_args(MetricName) else did_you_mean(name, get_args(MetricName))
    raise ConfigError(
        f"unknown metric '{metric}'.{hint} Write one of "
        f"{', '.join(get_args(MetricName))} with a cutoff, as in ndcg@10"
    )


def _known(metric: str) -> str:
    try:
        split_metric(metric)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return metric


Metric = Annotated[str, AfterValidator(_known)]
"""A metric with its cutoff, as a setting."""


def rank_metrics(ranks: Ranks, names: Sequence[MetricName], cutoffs: Sequence[int]) -> dict[str, Values]:
    """Return metrics at every cutoff for every example: `{"hr@5": [E], ..., "mrr@20": [E]}`."""
    return {
        f"{name}@{k}": expected_gain(GAINS[name](np.arange(1, k + 1, dtype=np.float64)), ranks.higher, ranks.tied)
        for name in names
        for k in cutoffs
    }


def expected_gain(gains: Values, higher: npt.NDArray[np.int64], tied: npt.NDArray[np.int64]) -> Values:
    """Return the mean gain over the ranks `higher + 1` to `higher + tied + 1`, `[E]`.

    Args:
        gains: what the ranks 1 to k count, `[k]`; all others count nothing.
        higher: candidates before the target, `[E]`.
        tied: other candidates tied with it, `[E]`.
    """
    k = len(gains)
    cumulative = np.concatenate([[0.0], np.cumsum(gains)])               # [k + 1]
    first = np.minimum(higher, k)
    last = np.minimum(higher + tied + 1, k)
    exact = np.where(higher < k, gains[np.minimum(higher, k - 1)], 0.0)  # no rounding where nothing is tied
    return np.where(tied == 0, exact, (cumulative[last] - cumulative[first]) / (tied + 1))
