"""Slices of the examples: by their target's popularity, by the length of their history."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

LENGTH_BINS = ((1, 5), (6, 10), (11, 20), (21, 50))
"""Bins of history lengths, both ends in; whatever is longer makes the last bin."""


def popularity_slices(targets: npt.NDArray[np.integer], counts: npt.NDArray[np.int64]) -> dict[str, Mask]:
    """Return the examples by their target's popularity: head, mid, tail, and unknown in training.

    Items are sorted by their training interactions, most first. Head are the first items that hold a third
    of all interactions between them, mid the next third, tail the rest.

    Args:
        targets: codes `[E]`, or `UNKNOWN`.
        counts: int64 `[I + 1]`, training interactions of every code.
    """
    order = np.argsort(-counts[1:], kind="stable")                       # [I]
    before = np.cumsum(counts[1:][order]) - counts[1:][order]            # interactions of more popular items
    third = np.empty(len(counts), np.int64)
    third[order + 1] = np.minimum(3 * before // max(1, int(counts.sum())), 2)
    third[counts == 0] = -1  # padding, and items that are candidates though training has not seen them
    of_target = np.where(targets > 0, third[np.maximum(targets, 0)], -1)
    return {name: of_target == i for i, name in ((0, "head"), (1, "mid"), (2, "tail"), (-1, "unknown"))}


def length_slices(lengths: npt.NDArray[np.int64]) -> dict[str, Mask]:
    """Return the examples by the length of their history: "1-5", "6-10", ..., "51+"."""
    slices = {f"{low}-{high}": (lengths >= low) & (lengths <= high) for low, high in LENGTH_BINS}
    slices[f"{LENGTH_BINS[-1][1] + 1}+"] = lengths > LENGTH_BINS[-1][1]
    return slices
