"""EASE with recency, truncated: what makes it a strong row on logs where order matters, and small on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from scipy import sparse
from torch import Tensor

from mltfr.baselines.base import BaselineConfig, Counts, register_baseline
from mltfr.baselines.ease import check_memory, solve
from mltfr.baselines.matrices import largest_of_rows, row_blocks, to_tensors, user_item_matrix
from mltfr.baselines.sparse import SparseBaseline
from mltfr.interactions import Histories


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
class RecentEASE(SparseBaseline):
    """EASE, truncated, with recency: not as its paper has it.

    B is that of `ease` (Steck 2019). Every item i keeps its `keep` largest `B_ij`, so that most negative weights are
    dropped, and a history scores `sum_i recent^age(i) B_ij`.
    """

    unit = "sum of weights"

    def __init__(self, config: RecentEASEConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state, config.recent)
        self.config = config

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
