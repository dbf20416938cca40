"""Parts that leave something out of the method: no filter, no router."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mltfr.fusion.mltfr.shortlist import Choice, Shortlist, TokenSelector
from mltfr.kernels.gathered import GatherIndex
from mltfr.tokens.table import PreparedTable


class FixedTokens(TokenSelector):
    """No filter: K tokens of one table, drawn once from its whole vocabulary, for everybody. Nothing trains.

    Args:
        table: the prepared table.
        keep: number of tokens K.

    Raises:
        ConfigError: the table has fewer tokens than are kept.
    """

    def __init__(self, table: PreparedTable, keep: int) -> None:
        super().__init__(Shortlist(table, keep, keep))
        self.shortlist.take(torch.randperm(table.shape[0], device="cpu")[:keep].sort().values.numpy())

    def forward(self, query: Tensor, tokens: Tensor, users: Tensor, batch: int) -> Choice:
        """Return all tokens with one weight, for every query."""
        keep = len(tokens)
        kept = torch.arange(keep, device=query.device).repeat(len(query), 1)    # [Q, K]
        return Choice(GatherIndex(kept, keep), query.new_full((len(query), keep), -math.log(keep)))


class MeanRouter(nn.Module):
    """No router: all experts count the same everywhere. It has no parameters."""

    def __init__(self, hidden: int, experts: int) -> None:
        super().__init__()
        self.experts = experts

    def forward(self, x: Tensor) -> Tensor:  # [P, D] -> [P, N]
        """Return `1 / N` for every expert."""
        return x.new_full((len(x), self.experts), 1 / self.experts)
