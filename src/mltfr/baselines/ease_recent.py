"""EASE with recency, truncated: what makes it a strong row on logs where order matters, and small on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor

from mltfr.baselines.base import Baseline, BaselineConfig, Counts, register_baseline
from mltfr.baselines.ease import check_memory, solve
from mltfr.baselines.matrices import (
    dense_columns,
    from_tensors,
    largest_of_rows,
    recency_weights,
    row_blocks,
    to_tensors,
    user_item_matrix,
)
from mltfr.interactions import Histories, History


class RecentEASEConfig(BaselineConfig):
    """Settings of EASE with recency, truncated."""

    name: Literal["ease-recent"] = "ease-recent"
    l2: float = Field(300.0, gt=0)
    """L2 regularisation (lambda)."""
    keep: int = Field(200, ge=1)
    """Largest weights that every item keeps, so that the run folder stays small; all where there are no more."""
    recent: float = Field(0.9, gt=0, le=1)
    """Weight of an item of the history over that of the next newer one; 1 for the plain sum, without order."""


@register_baseline("ease-recent", RecentEASEConfig)
class RecentEASE(Baseline):
    """EASE, truncated, with recency: not as its paper has it.

    B is that of `ease` (Steck 2019). Every item i keeps its `keep` largest `B_ij`, so that most negative weights are
    dropped, and a history scores `sum_i recent^age(i) B_ij`.
    """

    def __init__(self, config: RecentEASEConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state)
        self.config = config
        self._weights = from_tensors(state)                              # [I, I]

    @classmethod
    def state_of(cls, config: RecentEASEConfig, histories: Histories, counts: Counts) -> dict[str, Tensor]:
        """Return the largest weights of every item.

        Raises:
            ConfigError: the matrix does not fit into memory.
        """
        items = len(counts) - 1
        check_memory(config.name, items)
        weights = solve(user_item_matrix(histories, items), config.l2)   # [I, I]
        blocks = [largest_of_rows(sparse.csr_array(weights[block]), config.keep) for block in row_blocks(items, items)]
        return to_tensors(sparse.csr_array(sparse.vstack(blocks)))

    @property
    def items(self) -> int:
        """Number of items I."""
        return int(self._weights.shape[0])

    def queries(self, histories: Sequence[History]) -> sparse.csr_array:
        """Add up the weights of every history's items, `[B, I]`."""
        return sparse.csr_array(recency_weights(histories, self.items, self.config.recent) @ self._weights)

    def scores(self, queries: sparse.csr_array, start: int, stop: int) -> Tensor:
        """Return the sums of weights, float32 `[B, stop - start]`."""
        return dense_columns(queries, start, stop)

    def similarity(self, codes: Tensor) -> Tensor:
        """Return the weights of some items for the scores of all others, float32 `[N, I]`."""
        return torch.from_numpy(self._weights[codes.numpy() - 1].toarray())
