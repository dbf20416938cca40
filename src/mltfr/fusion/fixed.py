"""Without a filter: the same few tokens of each table for everybody."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mltfr.fusion.averages import Averages
from mltfr.fusion.by_table import ByTable
from mltfr.fusion.choice import TokenChoice
from mltfr.fusion.filter import TokenFilterConfig, check_size
from mltfr.fusion.positions import Positions
from mltfr.fusion.selection import Selection, kept_rows
from mltfr.fusion.shortlist import Shortlist
from mltfr.tokens.table import PreparedTable


class FixedTokens(TokenChoice):
    """`K` tokens of one table, drawn once from its whole vocabulary. There is nothing to train.

    Args:
        table: the prepared table.
        hidden: width D of the queries, which nobody asks.
        config: settings, of which only `keep` counts.

    Raises:
        ConfigError: the table has fewer tokens than are to be kept.
    """

    def __init__(self, table: PreparedTable, hidden: int, config: TokenFilterConfig) -> None:
        super().__init__()
        check_size(table, config)
        self.shortlist = Shortlist(table, config.keep)
        self.shortlist.take(torch.randperm(table.shape[0], device="cpu")[: config.keep].sort().values.numpy())

    def refresh(self, queries: Tensor) -> float:  # [Q, D]
        """Change nothing: all tokens stay."""
        return 1.0

    def set_progress(self, epochs: float) -> None:
        """Change nothing: there is no noise."""

    def diagnostics(self) -> dict[str, float]:
        """Return nothing: there is no state."""
        return {}


class AllFixedTokens(ByTable[FixedTokens]):
    """The fixed tokens of all tables."""

    def forward(
        self, query: Tensor, positions: Positions, averages: Mapping[str, Averages], rows: None = None
    ) -> Selection:
        """Return the same for all positions: every token, all of one weight.

        Args:
            query: `[P, D]`, of which only the number counts.
            positions: those that ask.
            averages: take nothing.
            rows: nothing.
        """
        vectors = [each.shortlist.vectors for each in self.each()]              # [K, W] each
        shape = len(query), len(vectors), len(vectors[0])
        kept = torch.arange(shape[2], device=query.device).repeat(*shape[:2], 1)    # [P, N, K]
        log_weight = query.new_full(shape, -math.log(shape[2]))                 # [P, N, K]
        return Selection(vectors, kept, kept_rows(kept, vectors, positions.by_hand), log_weight)
