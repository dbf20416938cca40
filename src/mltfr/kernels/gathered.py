"""Products of positions with a few gathered rows of a table: `gather_dot`, `gather_sum` and `look_up_dot`.

On a CPU most of a fusion's time would go into gathered rows `[P, K, D]` and their gradients. The kernels never hold
more than a few of them: sums of rows are `embedding_bag`, which adds weighted rows of a table without copying them;
heads are bags of their own over the table cut into `R * H` shorter rows. (It takes the quick way for tensors without
a gradient only, so they are detached.) The plain twins, functions of the same names in `mltfr.kernels.plain`, compute
the same and are used on other devices, inside `plain_twins()`, under autocast, and for a few positions or looked-up
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mltfr.kernels import plain, use_kernels

NUMBERS_AT_ONCE = 1 << 19
"""Numbers of gathered rows that stay in a processor's cache."""
FEW_POSITIONS = 16
"""Positions up to which, without a gradient, the plain twins are faster."""
ONE_BY_ONE = 32
"""Rows of a position up to which looking each up is as fast as looking up the distinct ones of all positions."""


class GatherIndex:
    """Which K of a table's R rows every position reads, with what the kernels sort once and share.

    Args:
        rows: int64 `[P, K]`.
        size: rows of the table, R.
    """

    def __init__(self, rows: Tensor, size: int) -> None:
        self.rows = rows
        self.size = size
        self._bags: dict[int, Tensor] = {}
        self._readers: dict[int, tuple[Tensor, Tensor]] = {}

    @classmethod
    def join(cls, indices: Sequence[GatherIndex]) -> GatherIndex:
        """Return N indices `[P, K]` as one into their tables laid one after the other, `[P, N * K]`."""
        sizes = [index.size for index in indices]
        starts = accumulate(sizes, initial=0)
        rows = [index.rows + start for index, start in zip(indices, starts, strict=False)]
        return cls(torch.cat(rows, dim=1), sum(sizes))

    def bags(self, heads: int) -> Tensor:
        """Return the rows of every position and head in the table `[R * H, d]`: `[P * H, K]`."""
        if heads not in self._bags:
            head = torch.arange(heads).unsqueeze(-1)                            # [H, 1]
            self._bags[heads] = (self.rows.unsqueeze(1) * heads + head).flatten(0, 1)
        return self._bags[heads]

    @cached_property
    def order(self) -> tuple[Tensor, Tensor]:
        """The entries of the flattened rows sorted by row `[P * K]`, and where each row's entries start `[R]`."""
        rows = self.rows.flatten()
        counts = torch.bincount(rows, minlength=self.size)                      # [R]
        narrow = rows.numpy().astype(np.uint16 if self.size <= 1 << 16 else np.int64)
        entries = torch.from_numpy(narrow.argsort(kind="stable"))               # of 16 bits: a radix sort
        return entries, counts.cumsum(0) - counts

    def readers(self, heads: int) -> tuple[Tensor, Tensor]:
        """Return the positions that read each row, head by head, and where those of each row and head start.

        Positions `[H * P * K]`, as rows of `[P * H, d]`, and starts `[H * R]`.
        """
        if heads not in self._readers:
            entries, starts = self.order
            head = torch.arange(heads).unsqueeze(-1)                            # [H, 1]
            reader = entries // self.rows.shape[1] * heads + head               # [H, P * K]
            self._readers[heads] = reader.flatten(), (starts + head * len(entries)).flatten()
        return self._readers[heads]


def gather_dot(query: Tensor, table: Tensor, index: GatherIndex, heads: int = 1) -> Tensor:
    """Return the dot products of every position with its rows, head by head, `[P, H, K]`.

    Args:
        query: `[P, D]`.
        table: `[R, D]`.
        index: the rows of every position, `[P, K]`.
        heads: number of heads H; each takes `D / H` components.
    """
    if _worthwhile(query, table):
        return _GatherDot.apply(query, table, index, heads)  # type: ignore[no-untyped-call]
    return plain.gather_dot(query, table, index.rows, heads)


def gather_sum(weight: Tensor, table: Tensor, index: GatherIndex) -> Tensor:
    """Return the weighted sum of every position's rows, head by head, `[P, D]`.

    Args:
        weight: `[P, H, K]`.
        table: `[R, D]`.
        index: the rows of every position, `[P, K]`.
    """
    if _worthwhile(weight, table):
        return _GatherSum.apply(weight, table, index)  # type: ignore[no-untyped-call]
    return plain.gather_sum(weight, table, index.rows)


def look_up_dot(query: Tensor, lookup: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Return the dot products of every position with rows that a function looks up, `[P, K]`.

    Args:
        query: `[P, D]`.
        lookup: vectors of rows, int64 `[...]` to `[..., D]`, each row's by itself; where positions have more than 32
            rows, it is asked for each distinct one once.
        rows: the rows of every position, int64 `[P, K]`.
    """
    if rows.shape[1] <= ONE_BY_ONE or not len(rows) or not _worthwhile(query, query):
        return plain.look_up_dot(query, lookup, rows)
    distinct, places = torch.unique(rows, return_inverse=True)                  # [U], [P, K]
    return gather_dot(query, lookup(distinct), GatherIndex(places, len(distinct))).squeeze(1)


def _worthwhile(positions: Tensor, table: Tensor) -> bool:
    if not use_kernels(table.device):
        return False
    one_type = positions.dtype == table.dtype and table.dtype in (torch.float32, torch.float64)
    many = torch.is_grad_enabled() or len(positions) > FEW_POSITIONS
    return one_type and many and not torch.is_autocast_enabled("cpu")


class _GatherDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, table: Tensor, index: GatherIndex, heads: int) -> Tensor:
        ctx.save_for_backward(query, table)
        ctx.index = index
        return _dot(query, table, index, heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        query, table = ctx.saved_tensors
        of_query = _sum(gradient, table, ctx.index) if ctx.needs_input_grad[0] else None
        of_table = _scatter(gradient, query, ctx.index) if ctx.needs_input_grad[1] else None
        return of_query, of_table, None, None


class _GatherSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, table: Tensor, index: GatherIndex) -> Tensor:
        ctx.save_for_backward(weight, table)
        ctx.index = index
        return _sum(weight, table, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        weight, table = ctx.saved_tensors
        of_weight = _dot(gradient, table, ctx.index, weight.shape[1]) if ctx.needs_input_grad[0] else None
        of_table = _scatter(weight, gradient, ctx.index) if ctx.needs_input_grad[1] else None
        return of_weight, of_table, None


def _dot(query: Tensor, table: Tensor, index: GatherIndex, heads: int) -> Tensor:  # -> [P, H, K]
    keep = index.rows.shape[1]
    product = query.new_empty(len(query), heads, keep)                          # [P, H, K]
    ones = query.new_ones(query.shape[1] // heads)                              # [d]
    at_once = max(1, NUMBERS_AT_ONCE // (keep * table.shape[1]))                # positions
    for start in range(0, len(query), at_once):
        part = slice(start, start + at_once)
        gathered = table.index_select(0, index.rows[part].T.flatten())          # [K * p, D]
        products = gathered.view(keep, -1, table.shape[1]).mul_(query[part])
        by_head = products.view(keep, -1, heads, len(ones)) @ ones        # [K, p, H], a sum, but vectorised
        product[part] = by_head.permute(1, 2, 0)
    return product


def _sum(weight: Tensor, table: Tensor, index: GatherIndex) -> Tensor:  # -> [P, D]
    positions, heads, keep = weight.shape
    shorter = table.detach().view(len(table) * heads, -1)                       # [R * H, d]
    weight = weight.detach().reshape(-1, keep)                                  # [P * H, K]
    total = functional.embedding_bag(index.bags(heads), shorter, mode="sum", per_sample_weights=weight)
    return total.view(positions, table.shape[1])


def _scatter(weight: Tensor, values: Tensor, index: GatherIndex) -> Tensor:
    """Return for every row the sum of the positions that read it, weighted head by head, `[R, D]`."""
    heads = weight.shape[1]
    entries, _ = index.order                                                    # [P * K]
    readers, starts = index.readers(heads)                                      # [H * P * K], [H * R]
    by_head = weight.detach().transpose(0, 1).reshape(heads, len(entries))      # [H, P * K]
    total = functional.embedding_bag(
        readers,
        values.detach().reshape(-1, values.shape[1] // heads),                  # [P * H, d]
        starts,
        mode="sum",
        per_sample_weights=by_head.index_select(1, entries).flatten(),
    )  # [H * R, d]
    return total.view(heads, index.size, -1).transpose(0, 1).reshape(index.size, -1)
