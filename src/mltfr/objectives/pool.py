"""The training sequences that views are made from."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from mltfr.interactions.collate import Codes, pad_right_aligned

Indices = npt.NDArray[np.int64]


class Pool:
    """Training sequences, each followed by the item that it has to predict last.

    Sequence `n` is `items[start[n]:stop[n]]`, and `items[stop[n]]` follows it.

    Args:
        items: int32 `[T]`, the flat training histories.
        start: int64 `[N]`.
        stop: int64 `[N]`, at least `start + 1`.
    """

    def __init__(self, items: npt.NDArray[np.int32], start: Indices, stop: Indices) -> None:
        self.items = items
        self.start = start
        self.stop = stop

    def __len__(self) -> int:
        return len(self.start)

    def read(self, indices: Indices) -> Codes:
        """Return sequences as right-aligned codes, int64 `[B, L]`."""
        sequences = [self.items[self.start[n] : self.stop[n]] for n in indices]
        return pad_right_aligned(sequences, int((self.stop[indices] - self.start[indices]).max()))

    def same_target(self, indices: Indices, rng: np.random.Generator) -> Indices:
        """Return for each sequence another one that the same item follows, int64 `[B]`.

        All others have the same chance. A sequence without any other is its own.
        """
        order, place, first, count = self._by_target
        others = np.maximum(count[indices] - 1, 1)                    # [B]
        drawn = first[indices] + rng.integers(0, others)              # [B]
        drawn += (drawn >= place[indices]) & (count[indices] > 1)     # steps over the sequence itself
        return np.asarray(order[drawn], np.int64)

    @cached_property
    def _by_target(self) -> tuple[Indices, Indices, Indices, Indices]:
        """Return the sequences sorted by what follows, and of each its place in there, its group's start and size."""
        targets = self.items[self.stop]                               # [N]
        order = np.argsort(targets, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        first = np.searchsorted(targets, targets, "left", sorter=order)
        return order, place, first, np.searchsorted(targets, targets, "right", sorter=order) - first
