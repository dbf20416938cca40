"""Plain twins of the kernels in `mltfr.kernels.gathered`: the formulas, on any device, under `torch.func` too."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def gather_dot(query: Tensor, table: Tensor, rows: Tensor, heads: int = 1) -> Tensor:
    """Return `[P, H, K]`: the dot products of `query` `[P, D]` with the `rows` `[P, K]` of `table` `[R, D]`."""
    width = table.shape[1] // heads
    keys = table[rows].view(*rows.shape, heads, width).transpose(1, 2)          # [P, H, K, d]
    return (keys @ query.view(*query.shape[:-1], heads, width, 1)).squeeze(-1)


def gather_sum(weight: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """Return `[P, D]`: the sums of the `rows` `[P, K]` of `table` `[R, D]`, weighted by `weight` `[P, H, K]`."""
    heads = weight.shape[1]
    values = table[rows].view(*rows.shape, heads, table.shape[1] // heads).transpose(1, 2)  # [P, H, K, d]
    return (weight.unsqueeze(2) @ values).flatten(1)


def look_up_dot(query: Tensor, lookup: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Return `[P, K]`: the dot products of `query` `[P, D]` with what `lookup` returns for `rows` `[P, K]`."""
    return (lookup(rows) @ query.unsqueeze(-1)).squeeze(-1)
