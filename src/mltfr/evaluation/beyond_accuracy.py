"""Coverage, Gini coefficient, novelty and popularity bias of the top lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mltfr.inference import TopK


def beyond_accuracy(top: TopK, counts: npt.NDArray[np.int64], cutoffs: Sequence[int]) -> dict[str, float]:
    """Return four properties of the lists at every cutoff.

    - `coverage@k`: share of all items that are in at least one list.
    - `gini@k`: Gini coefficient of how often each item is listed; 0 if all equally often, near 1 if few items
      fill all lists.
    - `novelty@k`: mean self-information of the listed items in bits, `-log2` of the item's share of the
      training interactions (Zhou et al., PNAS 2010, with shares for probabilities).
    - `popularity_bias@k`: mean popularity percentile of the listed items, 0 to 1; 0.5 for lists that do
      not look at popularity.

    Args:
        top: lists at least as long as the largest cutoff (or as the candidates allow).
        counts: int64 `[I + 1]`, training interactions of every code.
        cutoffs: values of k.
    """
    popularity = np.maximum(counts[1:], 1)                               # [I]
    information = -np.log2(popularity / popularity.sum())                # [I]
    percentile = (mean_ranks(popularity) - 0.5) / len(popularity)        # [I], ties share their mean
    result = {}
    for k in cutoffs:
        codes = top.codes[:, :k]
        listed = codes[codes > 0] - 1                                    # [rows of all lists]
        exposure = np.bincount(listed, minlength=len(popularity))        # [I]
        result[f"coverage@{k}"] = float(np.mean(exposure > 0))
        result[f"gini@{k}"] = gini(exposure)
        result[f"novelty@{k}"] = float(information[listed].mean()) if len(listed) else 0.0
        result[f"popularity_bias@{k}"] = float(percentile[listed].mean()) if len(listed) else 0.0
    return result


def mean_ranks(values: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return the rank of every value from 1 up; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def gini(amounts: npt.NDArray[np.integer]) -> float:
    """Return the Gini coefficient of non-negative amounts: mean absolute difference over twice the mean."""
    total = amounts.sum()
    if total == 0:
        return 0.0
    n = len(amounts)
    rank = np.arange(1, n + 1)
    return float((2 * rank - n - 1) @ np.sort(amounts) / (n * total))
