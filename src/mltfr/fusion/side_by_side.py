"""Several tables or layers at once: a few large operations instead of many small ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def stack_rows(tables: Sequence[Tensor]) -> Tensor:
    """Return tables `[M_n, D]` as one `[N, M, D]`; M is the longest, and shorter ones end in zeros."""
    most = max(len(table) for table in tables)
    return torch.stack(
        [table if len(table) == most else functional.pad(table, (0, 0, 0, most - len(table))) for table in tables]
    )


def row_numbers(rows: Tensor, most: int) -> Tensor:  # [N, ..., K] -> [N, ..., K]
    """Return rows of every table as rows of `stack_rows(tables).flatten(0, 1)`, M being `most`."""
    first = torch.arange(0, len(rows) * most, most, device=rows.device)
    return rows + first.view(-1, *[1] * (rows.dim() - 1))


def linears(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    """Apply N layers of one shape, each to its own input, or all to the same one.

    Args:
        layers: the layers, all with a bias or all without.
        x: `[N, R, D]` or `[R, D]`.

    Returns:
        `[N, R, D']`.
    """
    weight = torch.stack([layer.weight for layer in layers]).mT                 # [N, D, D']
    x = x.expand(len(layers), *x.shape[-2:])
    if layers[0].bias is None:
        return x @ weight
    bias = torch.stack([layer.bias for layer in layers]).unsqueeze(1)           # [N, 1, D']
    return torch.baddbmm(bias, x, weight)
