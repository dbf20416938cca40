"""Tables that look like the real one and mean nothing: what a fusion gains from them is not knowledge."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mltfr.tokens.moments import moments
from mltfr.tokens.sources.base import rows_per_chunk


def control_vectors(
    table: npt.NDArray[Any], control: Literal["random", "shuffled"], seed: int, name: str
) -> npt.NDArray[Any]:
    """Return the control of a table.

    Args:
        table: `[V, W]`.
        control: which one.
        seed: seed of the control; every table has its own numbers, whatever the tables beside it.
        name: the table's name.

    Returns:
        `[V, W]`, of the same type.
    """
    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    generator = np.random.default_rng([seed, own])
    return gaussian(table, generator) if control == "random" else shuffled(table, generator)


def gaussian(table: npt.NDArray[Any], generator: np.random.Generator) -> npt.NDArray[Any]:
    """Return Gaussian rows with the table's mean and covariance."""
    mean, covariance = moments(table)
    variances, directions = np.linalg.eigh(covariance)
    root = (directions * np.sqrt(np.clip(variances, 0, None))).T.astype(np.float32)   # root' root = covariance
    result = np.empty(table.shape, table.dtype)
    step = rows_per_chunk(table.shape[1])
    for start in range(0, len(table), step):
        part = result[start : start + step]
        noise = generator.standard_normal(part.shape, dtype=np.float32)
        part[:] = noise @ root + mean
    return result


def shuffled(table: npt.NDArray[Any], generator: np.random.Generator) -> npt.NDArray[Any]:
    """Return the table with each column permuted on its own."""
    result = np.empty(table.shape, table.dtype)
    for column in range(table.shape[1]):
        result[:, column] = generator.permutation(table[:, column])
    return result
