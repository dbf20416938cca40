"""Name-kNN: items whose names have words in common with those of the history's items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import norm
from torch import Tensor

from mltfr.baselines.base import BaselineConfig, Counts, register_baseline
from mltfr.baselines.matrices import recency_weights, to_tensors
from mltfr.baselines.neighbours import Neighbours
from mltfr.interactions import Histories, History
from mltfr.interactions.collate import Codes


class NameKNNConfig(BaselineConfig):
    """Settings of name-kNN; `names.idf` says whether words weigh by how rare they are."""

    name: Literal["name-knn"] = "name-knn"
    recent: float = Field(0.8, gt=0, le=1)
    """Weight of an item of the history over that of the next newer one; 1 for the plain sum, without order."""


@register_baseline("name-knn", NameKNNConfig)
class NameKNN(Neighbours):
    """Name-kNN: the items whose names are most like those of the history; it needs item names.

    With `t_i` the tf-idf vector of the words of item i (Salton & Buckley 1988), a history scores
    `s_i = sum_j recent^age(j) cos(t_i, t_j)`, the sum over its items: content-based neighbours (Pazzani & Billsus
    2007), which say as much of an item that nobody had yet as of any other. Items without a word in common follow
    after all others, by popularity, with scores in [-1, 0).
    """

    unit = "sum of cosines"
    reads_names = True
    square = False

    def __init__(self, config: NameKNNConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state, config.recent)                   # the matrix is that of words, [I, U]
        self._by_word = csr_array(self._weights.T)                       # [U, I]
        self.named: npt.NDArray[np.bool_] = np.diff(self._weights.indptr) > 0
        """Which items have a word, `[I]`."""

    @classmethod
    def state_of(
        cls, config: Any, histories: Histories, counts: Counts, words: csr_array | None = None
    ) -> dict[str, Tensor]:
        """Return the words of every item, weights of length 1, and the popularity.

        Args:
            config: the settings.
            histories: the training split.
            counts: int64 `[I + 1]`, training interactions of every code.
            words: `[I, U]`, sparse: the weight of every word of every item.

        Raises:
            ValueError: there are no words, or those of another number of items.
        """
        if words is None or words.shape[0] != len(counts) - 1:
            raise ValueError(f"the words of {len(counts) - 1} items are needed")
        lengths = np.maximum(norm(words, axis=1), np.finfo(np.float32).tiny)
        unit = csr_array(diags_array(1 / lengths) @ words, dtype=np.float32)  # [I, U]
        return {**to_tensors(unit), "counts": torch.from_numpy(np.array(counts, np.int64))}

    @classmethod
    def fit(cls, config: BaselineConfig, histories: Histories, counts: Counts, words: csr_array | None = None) -> Self:
        """Return a fitted baseline; arguments and errors are those of `state_of`."""
        return cls(config, cls.state_of(config, histories, counts, words))  # type: ignore[arg-type]

    @classmethod
    def of_words(cls, words: csr_array) -> Self:
        """Return the neighbours by the words of some items, `[I, U]`, without anything that is known of their users."""
        counts = np.zeros(words.shape[0] + 1, np.int64)
        return cls.fit(NameKNNConfig(), Histories.from_sequences([]), counts, words)

    def queries(self, histories: Sequence[History]) -> csr_array:
        """Add up the cosines to the items of every history, `[B, I]`, most of them zero."""
        return csr_array(recency_weights(histories, self.items, self._recent) @ self._weights @ self._by_word)

    def weights_of(self, codes: Codes) -> csr_array:
        """Return the cosines of some items to all, `[N, I]`."""
        return csr_array(self._weights[codes - 1] @ self._by_word)
