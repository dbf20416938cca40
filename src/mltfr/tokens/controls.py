"""Control tables, with the statistics of the real one and none of its meaning: gains from them are not knowledge."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mltfr.tokens.matrix import mean_and_covariance
from mltfr.tokens.sources.base import rows_per_chunk

Control = Literal["none", "random", "shuffled"]


def control_vectors(
    table: npt.NDArray[Any], control: Control, seed: int, name: str
) -> npt.NDArray[Any]:
    """Return the control of a table: `random` (`gaussian`) or `shuffled`.

    Args:
        table: `[V, W]`.
        control: which control.
        seed: random seed; every table draws its own numbers, whatever the tables beside it.
        name: the table's name.

    Returns:
        `[V, W]`, of the same type.
    """
    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    generator = np.random.default_rng([seed, own])
    return gaussian(table, generator) if control == "random" else shuffled(table, generator)


def gaussian(table: npt.NDArray[Any], generator: np.random.Generator) -> npt.NDArray[Any]:
    """Return Gaussian rows `[V, W]` with the table's mean and covariance."""
    mean, covariance = mean_and_covariance(table)
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
    """Return the table `[V, W]` with each column permuted independently."""
    result = np.empty(table.shape, table.dtype)
    for column in range(table.shape[1]):
        result[:, column] = generator.permutation(table[:, column])
    return result
