"""Word neighbours: items whose names have words in common with those of the history's items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import norm
from torch import Tensor

from mltfr.baselines.base import shares
from mltfr.baselines.matrices import dense_columns, recency_weights
from mltfr.interactions import History

RECENT = 0.8
"""Weight of an item of the history over that of the next newer one."""


class WordNeighbours:
    """Scores by the words of names, which say as much of an item that nobody had yet as of any other.

    With `t_i` the tf-idf vector of the words of item i (Salton & Buckley 1988), a history scores
    `s_i = sum_j RECENT^age(j) cos(t_i, t_j)`, the sum over its items: content-based neighbours (Pazzani & Billsus
    2007).

    Args:
        weights: `[I, U]`, sparse: the weight of every word of every item.
    """

    def __init__(self, weights: csr_array) -> None:
        lengths = np.maximum(norm(weights, axis=1), np.finfo(np.float32).tiny)
        self._rows = csr_array(diags_array(1 / lengths) @ weights, dtype=np.float32)     # [I, U], of length 1 or 0
        self._by_word = csr_array(self._rows.T)                          # [U, I]

    @property
    def items(self) -> int:
        """Number of items I."""
        return int(self._rows.shape[0])

    def queries(self, histories: Sequence[History]) -> csr_array:
        """Add up the cosines to the items of every history, `[B, I]`, most of them zero."""
        return csr_array(recency_weights(histories, self.items, RECENT) @ self._rows @ self._by_word)

    def scores(self, queries: csr_array, start: int, stop: int) -> Tensor:
        """Return the sums of cosines, float32 `[B, stop - start]`."""
        return dense_columns(queries, start, stop)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the shares of the squared sums of cosines, `[B, I]`; all items alike where `shares` backs off."""
        return shares(scores, torch.full_like(scores[:1], 1 / self.items))

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the cosines of some items, int64 `[N]`, to all items, float32 `[N, I]`."""
        return torch.from_numpy((self._rows[codes.numpy() - 1] @ self._by_word).toarray())

    def state_dict(self) -> dict[str, Tensor]:
        """Return nothing: the words of items are kept beside the weights of a run."""
        return {}

    def scorer(self) -> WordNeighbours:
        """Return the neighbours: they score themselves."""
        return self

    def zero_branch(self) -> None:
        """Return None: there are no hidden states that a fusion could correct."""
