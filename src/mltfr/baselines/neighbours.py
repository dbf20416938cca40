"""What baselines share that add up similarities of items: where there are none, popularity decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import sparse
from torch import Tensor, where

from mltfr.baselines.base import BaselineConfig, Counts, Parts
from mltfr.baselines.sparse import SparseBaseline
from mltfr.interactions import History


class Neighbours(SparseBaseline):
    """Scores by sums of similarities above zero; items that neighbour none of the history follow, by popularity.

    Args:
        config: the settings.
        state: the matrix that similarities come from, and `counts` `[I + 1]`, training interactions of every code.
        recent: weight of an item of the history over that of the next newer one.
    """

    def __init__(self, config: BaselineConfig, state: Mapping[str, Tensor], recent: float) -> None:
        super().__init__(config, state, recent)
        self._counts = state["counts"].double()                          # [I + 1]
        if len(self._counts) != self.items + 1:
            raise ValueError(f"counts has {len(self._counts)} rows for {self.items} items.")
        self._others = (self._counts / (self._counts.max() + 1) - 1).float()  # [I + 1], in [-1, 0)

    def scores(self, queries: sparse.csr_array, start: int, stop: int) -> Tensor:
        """Return the sums of similarities, float32 `[B, stop - start]`; by popularity below 0 where there is none."""
        near = super().scores(queries, start, stop)                      # [B, stop - start]
        return where(near == 0, self._others[start:stop], near)

    def parts(self, history: History, codes: Counts) -> Parts:
        """Return the similarities of every item of the history by its recency; the base is popularity without one."""
        near = super().parts(history, codes)
        far = near.values.sum(0) == 0                                    # [C]
        return replace(near, base=np.where(far, self._others.numpy()[codes], near.base))
