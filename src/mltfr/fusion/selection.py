"""What the filters of all tables keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mltfr.fusion.averages import Averages
from mltfr.fusion.by_table import ByTable
from mltfr.fusion.filter import TokenFilter
from mltfr.fusion.positions import Positions
from mltfr.fusion.rows import Kept, row_dot
from mltfr.fusion.side_by_side import row_numbers, stack_rows


@dataclass(frozen=True)
class Selection:
    """The tokens of N tables that P positions keep, and how much each of them counts.

    Attributes:
        vectors: every table's shortlist `[M, W]`; sizes and widths may differ.
        rows: the kept rows of every shortlist, int64 `[P, N, K]`.
        kept: the same as rows of the tables stacked by `stack_rows`.
        log_weight: the logs of their weights `[P, N, K]`; the exponentials sum to 1 over K.
    """

    vectors: Sequence[Tensor]
    rows: Tensor
    kept: Kept
    log_weight: Tensor

    def of(self, tables: Sequence[int]) -> Selection:
        """Return what is kept of some of the tables, by number."""
        if len(tables) == len(self.vectors):
            return self
        numbers = torch.tensor(tables, device=self.rows.device)
        vectors = [self.vectors[number] for number in tables]
        rows, log_weight = self.rows.index_select(1, numbers), self.log_weight.index_select(1, numbers)
        return Selection(vectors, rows, _kept(rows, vectors, self.kept.by_hand), log_weight)

    def at(self, positions: Tensor) -> Selection:
        """Return what is kept at some of the positions, by number `[P']`."""
        rows, log_weight = self.rows.index_select(0, positions), self.log_weight.index_select(0, positions)
        return Selection(self.vectors, rows, _kept(rows, self.vectors, self.kept.by_hand), log_weight)


class TokenFilters(ByTable[TokenFilter]):
    """The filters of all tables: each chooses, then what they chose is scored with a gradient."""

    def forward(self, query: Tensor, positions: Positions, averages: Mapping[str, Averages]) -> Selection:
        """Return what is kept of every table.

        Args:
            query: unit queries `[P, D]`.
            positions: those that ask.
            averages: take what is worth logging, by table.
        """
        vectors = [each.shortlist.vectors for each in self.each()]              # [M, W] each
        tokens = [each.project(rows) for each, rows in zip(self.each(), vectors, strict=True)]  # [M, D] each
        chosen = [
            each.select(query.detach(), positions, of_table.detach(), averages[name])   # [P, K] twice
            for each, of_table, name in zip(self.each(), tokens, averages, strict=True)
        ]
        rows, cosine = (torch.stack(parts, 1) for parts in zip(*chosen, strict=True))   # [P, N, K] each
        kept = _kept(rows, vectors, positions.by_hand)
        score = row_dot(
            query,
            stack_rows(tokens).flatten(0, 1),                                   # [N * M, D]
            kept.joined(),                                                      # [P, N * K]
            known=cosine.to(query.dtype).flatten(1).unsqueeze(1),               # [P, 1, N * K]
        ).view_as(cosine)  # [P, N, K]
        scale = torch.stack([each.scale() for each in self.each()])             # [N]
        return Selection(vectors, rows, kept, (scale.unsqueeze(-1) * score).log_softmax(-1))


def _kept(rows: Tensor, vectors: Sequence[Tensor], by_hand: bool) -> Kept:
    most = max(len(table) for table in vectors)
    return Kept(row_numbers(rows, most), len(vectors) * most, by_hand)
