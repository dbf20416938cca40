"""Arithmetic on the rows of tables that are too large for a float32 copy: chunks, mean, covariance, unit norm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.tokens.sources.base import rows_per_chunk

Floats = npt.NDArray[np.floating[Any]]


def row_chunks(table: npt.NDArray[Any], rows: npt.NDArray[np.intp] | None = None) -> Iterator[Floats]:
    """Yield float32 copies of consecutive rows.

    Args:
        table: `[V, W]`, of any float type.
        rows: which rows, all if not given.
    """
    step = rows_per_chunk(table.shape[1])
    for start in range(0, len(table) if rows is None else len(rows), step):
        stop = start + step
        chunk = table[start:stop] if rows is None else table[rows[start:stop]]
        yield chunk.astype(np.float32)


def mean_row(table: npt.NDArray[Any], rows: npt.NDArray[np.intp] | None = None) -> Floats:
    """Return the mean `[W]` of a table's rows, float32, summed up in float64."""
    total = np.zeros(table.shape[1])
    for chunk in row_chunks(table, rows):
        total += chunk.sum(axis=0, dtype=np.float64)
    return (total / (len(table) if rows is None else len(rows))).astype(np.float32)


def mean_and_covariance(
    table: npt.NDArray[Any], rows: npt.NDArray[np.intp] | None = None
) -> tuple[Floats, Floats]:
    """Return the mean `[W]`, float32, and the covariance `[W, W]`, float64, of a table's rows.

    Args:
        table: `[V, W]`, of any float type.
        rows: which rows, all if not given; at least one.
    """
    mean = mean_row(table, rows)
    covariance = np.zeros((table.shape[1], table.shape[1]))
    for chunk in row_chunks(table, rows):
        centred = chunk - mean                     # [rows, W]
        covariance += centred.T @ centred
    return mean, covariance / (len(table) if rows is None else len(rows))


def unit_rows(vectors: Floats) -> Floats:
    """Return rows scaled to length 1; rows of zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
