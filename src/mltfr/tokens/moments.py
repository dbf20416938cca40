"""Mean and covariance of a table, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.tokens.sources.base import rows_per_chunk

Floats = npt.NDArray[np.floating[Any]]


def chunks(table: npt.NDArray[Any], rows: npt.NDArray[np.intp] | None = None) -> Iterator[Floats]:
    """Yield float32 copies of consecutive rows.

    Args:
        table: `[V, W]`, of any float type.
        rows: the rows that are wanted, all if not given.
    """
    step = rows_per_chunk(table.shape[1])
    for start in range(0, len(table) if rows is None else len(rows), step):
        stop = start + step
        part = table[start:stop] if rows is None else table[rows[start:stop]]
        yield part.astype(np.float32)


def moments(table: npt.NDArray[Any], rows: npt.NDArray[np.intp] | None = None) -> tuple[Floats, Floats]:
    """Return the mean `[W]` and covariance `[W, W]` of a table's rows, summed up in float64.

    Args:
        table: `[V, W]`, of any float type.
        rows: the rows that count, all if not given.
    """
    count = len(table) if rows is None else len(rows)
    mean = np.zeros(table.shape[1])
    for chunk in chunks(table, rows):
        mean += chunk.sum(axis=0, dtype=np.float64)
    mean /= max(count, 1)
    covariance = np.zeros((table.shape[1], table.shape[1]))
    for chunk in chunks(table, rows):
        centred = chunk - mean.astype(np.float32)  # [rows, W]
        covariance += centred.T @ centred
    return mean, covariance / max(count, 1)


def unit_rows(vectors: Floats) -> Floats:
    """Return rows of length 1; rows of zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
