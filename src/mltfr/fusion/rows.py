"""Products of positions with the rows of a table that are kept for them.

Each comes in two forms with one result. The plain one is differentiated by torch, works under `torch.func`
and on any device. On a CPU most of a fusion's time would go into gathered rows and their gradients: there a
second form never holds more than a few of them. Its sums of rows are `embedding_bag`, which adds weighted rows
of a table without copying them; heads are bags of their own over a table cut into `R * H` shorter rows. (It
takes the quick way for tensors without a gradient only, so they are detached.)

The positions may have any number of dimensions, here written `...`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

POSITIONS_AT_ONCE = 512


class Kept:
    """The rows of a table `[R, D]` that are kept for every position.

    Args:
        rows: int64 `[..., K]`.
        size: rows of the table, R.
        by_hand: whether the second form may be used, which `torch.func` cannot transform.
    """

    def __init__(self, rows: Tensor, size: int, by_hand: bool) -> None:
        self.rows = rows
        self.size = size
        self.by_hand = by_hand and rows.device.type == "cpu"
        self._occurrences: list[tuple[Tensor, Tensor]] = []
        self._bags: dict[int, Tensor] = {}
        self._readers: dict[int, tuple[Tensor, Tensor]] = {}

    def joined(self) -> Kept:  # [..., N, K] -> [..., N * K]
        """Return the same where a position's rows of several tables are those of one."""
        kept = Kept(self.rows.flatten(-2), self.size, self.by_hand)
        kept._occurrences = self._occurrences  # those of the flattened rows are the same
        return kept

    def bags(self, heads: int) -> Tensor:
        """Return the kept rows of every position and head in the table `[R * H, d]`, `[... * H, K]`."""
        if heads not in self._bags:
            head = torch.arange(heads).unsqueeze(-1)                            # [H, 1]
            self._bags[heads] = (self.rows.unsqueeze(-2) * heads + head).view(-1, self.rows.shape[-1])
        return self._bags[heads]

    def occurrences(self) -> tuple[Tensor, Tensor]:
        """Return the places in the flattened rows, sorted by what stands there, and where each row's start.

        Places `[... * K]` and starts `[R]`.
        """
        if not self._occurrences:
            rows = self.rows.flatten()
            counts = torch.bincount(rows, minlength=self.size)                  # [R]
            narrow = rows.numpy().astype(np.uint16 if self.size <= 1 << 16 else np.int64)
            places = torch.from_numpy(narrow.argsort(kind="stable"))            # of 16 bits: a radix sort
            self._occurrences.append((places, counts.cumsum(0) - counts))
        return self._occurrences[0]

    def readers(self, heads: int) -> tuple[Tensor, Tensor]:
        """Return the positions that keep each row, head by head, and where those of each row and head start.

        Positions `[H * ... * K]`, as rows of `[... * H, d]`, and starts `[H * R]`.
        """
        if heads not in self._readers:
            places, starts = self.occurrences()
            head = torch.arange(heads).unsqueeze(-1)                            # [H, 1]
            position = torch.arange(0, self.rows[..., 0].numel() * heads, heads)    # [...]
            of_place = position.unsqueeze(-1).expand(-1, self.rows.shape[-1]).flatten()  # [... * K]
            reader = of_place.index_select(0, places) + head                    # [H, ... * K]
            self._readers[heads] = reader.flatten(), (starts + head * len(places)).flatten()
        return self._readers[heads]


def row_dot(query: Tensor, table: Tensor, kept: Kept, heads: int = 1, known: Tensor | None = None) -> Tensor:
    """Return the dot product of every position with its kept rows, head by head, `[..., H, K]`.

    Args:
        query: `[..., D]`.
        table: `[R, D]`.
        kept: the kept rows.
        heads: number of heads H.
        known: the result, where it is known already and only its gradient is wanted.
    """
    if known is not None and not torch.is_grad_enabled():
        return known
    if _in_second_form(query, table, kept):
        return _RowDot.apply(query, table, kept, heads, known)  # type: ignore[no-untyped-call]
    return _heads(query.unsqueeze(-2) * table[kept.rows], heads).sum(-1).transpose(-1, -2)


def row_sum(weight: Tensor, table: Tensor, kept: Kept) -> Tensor:
    """Return the weighted sum of every position's kept rows, head by head, `[..., D]`.

    Args:
        weight: `[..., H, K]`.
        table: `[R, D]`.
        kept: the kept rows.
    """
    if _in_second_form(weight, table, kept):
        return _RowSum.apply(weight, table, kept)  # type: ignore[no-untyped-call]
    rows = _heads(table[kept.rows], weight.shape[-2])                           # [..., K, H, d]
    return (weight.transpose(-1, -2).unsqueeze(-1) * rows).sum(-3).flatten(-2)


class _RowDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, table: Tensor, kept: Kept, heads: int, known: Tensor | None) -> Tensor:
        ctx.save_for_backward(query, table)
        ctx.kept = kept
        return _dot(query, table, kept, heads) if known is None else known.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        query, table = ctx.saved_tensors
        return _sum(gradient, table, ctx.kept), _spread(gradient, query, ctx.kept), None, None, None


class _RowSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, table: Tensor, kept: Kept) -> Tensor:
        ctx.save_for_backward(weight, table)
        ctx.kept = kept
        return _sum(weight, table, kept)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, table = ctx.saved_tensors
        by_weight = _dot(gradient, table, ctx.kept, weight.shape[-2])           # [..., H, K]
        return by_weight, _spread(weight, gradient, ctx.kept), None


def _dot(query: Tensor, table: Tensor, kept: Kept, heads: int) -> Tensor:
    keep = kept.rows.shape[-1]
    product = query.new_empty(*query.shape[:-1], heads, keep)                   # [..., H, K]
    chunks = zip(
        torch.split(product.view(-1, heads, keep), POSITIONS_AT_ONCE),          # [p, H, K] each
        torch.split(query.reshape(-1, query.shape[-1]), POSITIONS_AT_ONCE),     # [p, D] each
        torch.split(kept.rows.view(-1, keep), POSITIONS_AT_ONCE),               # [p, K] each
        strict=True,
    )
    ones = query.new_ones(query.shape[-1] // heads)                             # [d]
    for part, some, rows in chunks:  # so few that the gathered rows stay in the cache
        gathered = table.index_select(0, rows.T.flatten()).view(keep, *some.shape)  # [K, p, D]
        by_head = _heads(gathered.mul_(some), heads) @ ones                     # [K, p, H], a sum, but vectorised
        part.copy_(by_head.permute(1, 2, 0))
    return product


def _sum(weight: Tensor, table: Tensor, kept: Kept) -> Tensor:
    heads, keep = weight.shape[-2:]
    parts = table.detach().view(len(table) * heads, -1)                         # [R * H, d]
    bags = kept.bags(heads)                                                     # [... * H, K]
    total = functional.embedding_bag(bags, parts, mode="sum", per_sample_weights=weight.detach().reshape(-1, keep))
    return total.view(*weight.shape[:-2], table.shape[1])


def _spread(weight: Tensor, query: Tensor, kept: Kept) -> Tensor:
    """Return for every row the sum of the positions that keep it, weighted head by head, `[R, D]`."""
    heads, keep = weight.shape[-2:]
    places, _ = kept.occurrences()                                              # [... * K]
    readers, starts = kept.readers(heads)                                       # [H * ... * K], [H * R]
    by_head = weight.detach().reshape(-1, heads, keep).transpose(0, 1).reshape(heads, len(places))
    total = functional.embedding_bag(
        readers,
        query.detach().reshape(-1, query.shape[-1] // heads),
        starts,
        mode="sum",
        per_sample_weights=by_head.index_select(1, places).flatten(),
    )  # [H * R, d]
    return total.view(heads, kept.size, -1).transpose(0, 1).reshape(kept.size, -1)


def _heads(tensor: Tensor, heads: int) -> Tensor:  # [..., D] -> [..., H, d]
    return torch.unflatten(tensor, -1, (heads, tensor.shape[-1] // heads))


def _in_second_form(positions: Tensor, table: Tensor, kept: Kept) -> bool:
    return kept.by_hand and positions.dtype == table.dtype and table.dtype in (torch.float32, torch.float64)
