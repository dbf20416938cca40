"""Plain twins of the kernels in `mltfr.kernels.gathered`: the formulas, on any device, under `torch.func` too."""

from __future__ import annotations

import torch
from torch import Tensor


def gather_dot(query: Tensor, table: Tensor, rows: Tensor, heads: int = 1) -> Tensor:
    """Return `[P, H, K]`: the dot products of `query` `[P, D]` with the `rows` `[P, K]` of `table` `[R, D]`."""
    keys = torch.unflatten(table[rows], -1, (heads, -1)).transpose(1, 2)             # [P, H, K, d]
    return (keys @ torch.unflatten(query, -1, (heads, -1)).unsqueeze(-1)).squeeze(-1)


def gather_sum(weight: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """Return `[P, D]`: the sums of the `rows` `[P, K]` of `table` `[R, D]`, weighted by `weight` `[P, H, K]`."""
    values = torch.unflatten(table[rows], -1, (weight.shape[1], -1)).transpose(1, 2)     # [P, H, K, d]
    return (weight.unsqueeze(2) @ values).flatten(1)
