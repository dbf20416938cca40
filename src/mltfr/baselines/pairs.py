"""Pairs of items that stand near each other in a history, counted for some items at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mltfr.interactions import Histories


class NearPairs:
    """How often two items stand near each other: sums of `decay^(d-1)` over the places where they do, d places apart.

    Memory and time of a block are those of its own pairs, so that a large log is never held as one matrix.

    Args:
        histories: the training split; unknown items are left out, and count as places.
        items: number of items I.
        lags: places between two items of a pair, at most.
        decay: weight of a pair over that of one that is one place nearer.
        weight: weight of every user, float `[U]`; 1 if not given.
    """

    def __init__(
        self, histories: Histories, items: int, lags: int, decay: float, weight: npt.NDArray[np.floating] | None = None
    ) -> None:
        self.codes, self.items, self.decay, self.weight = histories.items, items, decay, weight
        self.lags = min(lags, int(histories.lengths.max(initial=0)))
        self.user = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths)  # [T]
        self.places = np.argsort(self.codes, kind="stable")              # [T], places of item 1, of item 2, ...
        self.starts = np.searchsorted(self.codes[self.places], np.arange(1, items + 2))      # [I + 1]

    def rows(self, block: slice, *, earlier: bool = False) -> sparse.csr_array:
        """Return the sums of the items of a block with all items that come after them, float32 `[R, I]`.

        Args:
            block: items i, from 0 to I - 1.
            earlier: whether items that come before count as well.
        """
        places = self.places[self.starts[block.start] : self.starts[block.stop]]             # [P]
        total = sparse.csr_array((block.stop - block.start, self.items), dtype=np.float32)
        for lag in range(1, self.lags + 1):
            for apart in (lag, -lag) if earlier else (lag,):
                other = places + apart
                inside = (other >= 0) & (other < len(self.codes))
                here, there = places[inside], other[inside]
                same = (self.user[here] == self.user[there]) & (self.codes[there] > 0)
                here, there = here[same], there[same]
                weight = self.decay ** (lag - 1) * (1 if self.weight is None else self.weight[self.user[here]])
                cells = (self.codes[here] - 1 - block.start, self.codes[there] - 1)
                values = np.broadcast_to(np.asarray(weight, np.float32), here.shape)
                total = total + sparse.csr_array(sparse.coo_array((values, cells), shape=total.shape))
        return sparse.csr_array(total)
