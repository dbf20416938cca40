"""Products of positions with the rows of a shortlist that the filter kept for them.

Each comes in two forms with one result. The plain one is differentiated by torch, works under `torch.func`
and on any device. On a CPU most of a fusion's time goes into gathered rows and their gradients: there a second
form works on them in place, keeps none of them for the backward pass, and sums the gradients of a row in one
sweep over its occurrences.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


class Kept:
    """The rows that are kept for every position.

    Args:
        rows: rows of the shortlist, int64 `[K, B, Q]`; Q is L, or 1 where a user's positions share them.
        by_hand: whether the second form may be used, which `torch.func` cannot transform.
    """

    def __init__(self, rows: Tensor, by_hand: bool) -> None:
        self.rows = rows
        self.by_hand = by_hand and rows.device.type == "cpu"

    @cached_property
    def order(self) -> Tensor:
        """Places in the flattened rows, `[K * B * Q]`, sorted by the row that stands there."""
        return self.rows.flatten().argsort()

    def starts(self, size: int) -> Tensor:
        """Return where the places of every row start in `order`, `[M]`."""
        counts = torch.bincount(self.rows.flatten(), minlength=size)
        return counts.cumsum(0) - counts


def row_dot(query: Tensor, table: Tensor, kept: Kept, heads: int = 1) -> Tensor:
    """Return the dot product of every position with its kept rows, head by head, `[K, B, L, H]`.

    Args:
        query: `[B, L, D]`.
        table: `[M, D]`.
        kept: the kept rows.
        heads: number of heads H.
    """
    if _by_hand(query, table, kept):
        product: Tensor = _RowDot.apply(query, table, kept, heads)  # type: ignore[no-untyped-call]
        return product
    return _heads(query * _pick(table, kept), heads).sum(-1)


def row_sum(weight: Tensor, table: Tensor, kept: Kept) -> Tensor:
    """Return the weighted sum of every position's kept rows, head by head, `[B, L, D]`.

    Args:
        weight: `[K, B, L, H]`.
        table: `[M, D]`.
        kept: the kept rows.
    """
    if _by_hand(weight[0], table, kept):
        total: Tensor = _RowSum.apply(weight, table, kept)  # type: ignore[no-untyped-call]
        return total
    return (weight.unsqueeze(-1) * _heads(_pick(table, kept), weight.shape[-1])).sum(0).flatten(-2)


class _RowDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, table: Tensor, kept: Kept, heads: int) -> Tensor:
        ctx.save_for_backward(query, table)
        ctx.kept = kept
        return _dot(query, table, kept, heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query, table = ctx.saved_tensors
        return _sum(gradient, table, ctx.kept), _spread(gradient, query, len(table), ctx.kept), None, None


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
        by_weight = _dot(gradient, table, ctx.kept, weight.shape[-1])           # [K, B, L, H]
        return by_weight, _spread(weight, gradient, len(table), ctx.kept), None


def _dot(query: Tensor, table: Tensor, kept: Kept, heads: int) -> Tensor:
    return _heads(_pick(table, kept).mul_(query), heads).sum(-1)                # [K, B, L, H]


def _sum(weight: Tensor, table: Tensor, kept: Kept) -> Tensor:
    rows = _heads(_pick(table, kept), weight.shape[-1])                         # [K, B, L, H, d]
    return rows.mul_(weight.unsqueeze(-1)).sum(0).flatten(-2)                   # [B, L, D]


def _spread(weight: Tensor, query: Tensor, size: int, kept: Kept) -> Tensor:
    """Return for every row the sum of the positions that kept it, weighted head by head, `[M, D]`."""
    each = weight.unsqueeze(-1) * _heads(query, weight.shape[-1])               # [K, B, L, H, d]
    return functional.embedding_bag(
        kept.order, each.view(-1, query.shape[-1]), kept.starts(size), mode="sum"
    )


def _pick(table: Tensor, kept: Kept) -> Tensor:  # [M, D] -> [K, B, Q, D]
    return table.index_select(0, kept.rows.flatten()).view(*kept.rows.shape, table.shape[1])


def _heads(tensor: Tensor, heads: int) -> Tensor:  # [..., D] -> [..., H, d]
    return torch.unflatten(tensor, -1, (heads, tensor.shape[-1] // heads))


def _by_hand(positions: Tensor, table: Tensor, kept: Kept) -> bool:
    return kept.by_hand and positions.shape[1] == kept.rows.shape[2] and positions.dtype == table.dtype
