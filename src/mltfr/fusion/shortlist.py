"""The shortlist of a table: the tokens that are candidates between two refreshes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mltfr.fusion.largest import largest
from mltfr.products import large_products
from mltfr.tokens.table import PreparedTable

TOKENS_AT_ONCE = 2048
QUERIES_AT_ONCE = 1024


class Shortlist(nn.Module):
    """`M` rows of one table. They are buffers: saved with the run, frozen, and moved with the model.

    A fresh shortlist takes evenly spaced rows; `choose` picks those that the training users ask for.

    Args:
        table: the prepared table, `[V, W]`; its vectors have unit norm.
        size: tokens wanted; M is this, or V if the table has fewer.
    """

    ids: Tensor
    vectors: Tensor

    def __init__(self, table: PreparedTable, size: int) -> None:
        super().__init__()
        self.table = table
        rows = table.shape[0]
        size = min(size, rows)
        ids = np.arange(size, dtype=np.int64) * rows // size                    # [M]
        self.register_buffer("ids", torch.from_numpy(ids))
        self.register_buffer("vectors", scaled_rows(table, ids))                # [M, W]

    @property
    def is_whole(self) -> bool:
        """Whether every token of the table is on the shortlist."""
        return len(self.ids) == self.table.shape[0]

    def choose(self, queries: Tensor, project: Callable[[Tensor], Tensor], keep: int) -> float:
        """Take the tokens that cover the queries, and return the share of the old ones that stays.

        The rule: a token comes first the more queries have it among their best `keep` of the whole
        vocabulary; then the higher its best cosine with any query; then the lower its id.

        Args:
            queries: `[Q, D]`, unit norm.
            project: maps rows `[v, W]` to unit vectors `[v, D]`.
            keep: length of a query's list of best tokens.
        """
        if self.is_whole:
            return 1.0
        counts, best = coverage(queries, self.table, project, keep)
        order = np.lexsort((-best, -counts))[: len(self.ids)]                   # stable: lower ids first
        ids = np.sort(order).astype(np.int64)                                   # [M]
        stay = float(np.isin(ids, self.ids.cpu().numpy()).mean())
        self.take(ids)
        return stay

    def take(self, ids: npt.NDArray[np.int64]) -> None:
        """Take the tokens called `ids`, `[M]`, instead of those that are there."""
        self.ids.copy_(torch.from_numpy(ids))
        self.vectors.copy_(scaled_rows(self.table, ids))


def scaled_rows(table: PreparedTable, ids: npt.NDArray[np.int64] | slice) -> Tensor:
    """Return rows of a table in float32, times the root of the width: components of about unit variance."""
    rows = np.asarray(table.vectors[ids], dtype=np.float32)
    return torch.from_numpy(rows * np.float32(table.shape[1] ** 0.5))


def coverage(
    queries: Tensor, table: PreparedTable, project: Callable[[Tensor], Tensor], keep: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return how many queries have each token among their best `keep`, and its best cosine: `[V]`, `[V]`.

    Memory is bounded by the chunk sizes, whatever the number of tokens and queries.
    """
    size = table.shape[0]
    best = torch.full((size,), -torch.inf)                                      # [V]
    groups = torch.split(queries, QUERIES_AT_ONCE)
    scores = [group.new_full((len(group), keep), -torch.inf) for group in groups]         # [q, K] each
    tokens = [torch.zeros(len(group), keep, dtype=torch.long, device=group.device) for group in groups]
    for start in range(0, size, TOKENS_AT_ONCE):
        rows = scaled_rows(table, slice(start, start + TOKENS_AT_ONCE))         # [v, W]
        projected = project(rows.to(queries.device))                            # [v, D]
        stop = start + len(rows)
        for index, group in enumerate(groups):
            with large_products(len(group)):
                cosine = group @ projected.T                                    # [q, v]
            best[start:stop] = torch.maximum(best[start:stop], cosine.amax(0).cpu())
            top = largest(cosine, min(keep, len(rows)))                         # [q, K]
            candidates = torch.cat([scores[index], cosine.gather(1, top)], dim=1)   # [q, 2K]
            names = torch.cat([tokens[index], top + start], dim=1)              # [q, 2K]
            scores[index], places = candidates.topk(keep, dim=1)
            tokens[index] = names.gather(1, places)
    counts = torch.bincount(torch.cat(tokens).flatten().cpu(), minlength=size)  # [V]
    return counts.numpy(), best.numpy()
