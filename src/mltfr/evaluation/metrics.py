"""HR, NDCG and MRR of one target, as expectations over the orders of tied items.

With `h` candidates before the target and `t` others tied with it, the target's rank is `h + 1` to
`h + 1 + t`, each with the same probability (McSherry and Najork, "Computing Information Retrieval
Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008). A metric that gives the rank r
a gain `g(r)` is therefore the mean of `g` over these ranks, read off its cumulative sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mltfr.evaluation.ranks import Ranks

Values = npt.NDArray[np.float64]

GAINS: dict[str, Callable[[Values], Values]] = {
    "hr": np.ones_like,                              # hit rate
    "ndcg": lambda rank: 1 / np.log2(rank + 1),      # the ideal DCG of one target is 1
    "mrr": lambda rank: 1 / rank,                    # reciprocal rank
}
"""What the target at rank 1, 2, ... counts; beyond the cutoff it counts nothing."""


def rank_metrics(ranks: Ranks, cutoffs: Sequence[int]) -> dict[str, Values]:
    """Return every metric at every cutoff for every example: `{"hr@5": [E], ..., "mrr@20": [E]}`."""
    return {
        f"{name}@{k}": expected_gain(gain(np.arange(1, k + 1, dtype=np.float64)), ranks.higher, ranks.tied)
        for name, gain in GAINS.items()
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
