"""What baselines share whose weights are one sparse matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from mltfr.baselines.base import Baseline, BaselineConfig, Counts, Parts
from mltfr.baselines.matrices import dense_columns, from_tensors, item_weights, recency_weights
from mltfr.interactions import History
from mltfr.interactions.collate import Codes


class SparseBaseline(Baseline):
    """Scores a history by adding up its items' rows of a sparse matrix W: `sum_i recent^age(i) W_ij`.

    Args:
        config: the settings.
        state: W `[I, I]`, as `to_tensors` writes it, or what W is a product of; and whatever else the baseline needs.
        recent: weight of an item of the history over that of the next newer one.
    """

    square: ClassVar[bool] = True
    """Whether the matrix of the state is W itself; a factor of it has other columns than items."""

    def __init__(self, config: BaselineConfig, state: Mapping[str, Tensor], recent: float) -> None:
        super().__init__(config, state)
        self._recent, self._weights = recent, from_tensors(state, self.square)  # [I, I]

    @property
    def items(self) -> int:
        """Number of items I."""
        return int(self._weights.shape[0])

    def queries(self, histories: Sequence[History]) -> sparse.csr_array:
        """Add up the weights of every history's items, `[B, I]`."""
        return sparse.csr_array(recency_weights(histories, self.items, self._recent) @ self._weights)

    def scores(self, queries: sparse.csr_array, start: int, stop: int) -> Tensor:
        """Return the sums of weights, float32 `[B, stop - start]`."""
        return dense_columns(queries, start, stop)

    def parts(self, history: History, codes: Counts) -> Parts:
        """Return the weights of every item of the history by its recency, which sum to the scores."""
        items, recency = item_weights(history, self.items, self._recent)  # [N], [N]
        values = self.weights_of(items)[:, codes - 1].toarray()          # [N, C]
        return Parts(items, recency[:, None] * values, np.zeros(len(codes), np.float32))

    def similarity(self, codes: Tensor) -> Tensor:
        """Return the weights of some items for the scores of all others, float32 `[N, I]`; zero for none."""
        return torch.from_numpy(self.weights_of(codes.numpy()).toarray())

    def weights_of(self, codes: Codes) -> sparse.csr_array:
        """Return the weights of some items, int64 `[N]`, for the scores of all, `[N, I]`."""
        return self._weights[codes - 1]
