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


def linears_of_tables(layers: Sequence[nn.Linear], tables: Sequence[Tensor]) -> Tensor:
    """Apply N layers to tables `[M_n, W_n]`, each to its own, and return the results stacked, `[N, M, D]`."""
    return stack_rows([layer(table) for layer, table in zip(layers, tables, strict=True)])


def row_numbers(rows: Tensor, most: int) -> Tensor:  # [P, N, K] -> [P, N, K]
    """Return rows of every table as rows of `stack_rows(tables).flatten(0, 1)`, M being `most`."""
    return rows + torch.arange(0, rows.shape[1] * most, most, device=rows.device).unsqueeze(-1)


def linears_of_one(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:  # [P, D] -> [P, N, D']
    """Apply N layers of one shape to the same input."""
    weight = torch.cat([layer.weight for layer in layers])                      # [N * D', D]
    bias = torch.cat([layer.bias for layer in layers])                          # [N * D']
    return functional.linear(x, weight, bias).view(len(x), len(layers), layers[0].out_features)


def linears_of_each(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:  # [N, R, D] -> [N, R, D']
    """Apply N layers of one shape, each to its own input."""
    weight = torch.stack([layer.weight for layer in layers]).mT                 # [N, D, D']
    if layers[0].bias is None:
        return x @ weight
    return torch.baddbmm(torch.stack([layer.bias for layer in layers]).unsqueeze(1), x, weight)
