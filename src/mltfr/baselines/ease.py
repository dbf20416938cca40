"""EASE: a linear autoencoder without self-similarity, in closed form (Steck, WWW 2019, arXiv 1905.03375)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from scipy import sparse
from scipy.linalg import lapack
from torch import Tensor

from mltfr.baselines.base import Baseline, BaselineConfig, Counts, register_baseline
from mltfr.baselines.matrices import (
    dense_columns,
    from_tensors,
    largest_of_rows,
    recency_weights,
    row_blocks,
    to_tensors,
    user_item_matrix,
)
from mltfr.errors import ConfigError
from mltfr.interactions import Histories, History
from mltfr.storage.main_memory import available_memory

SPARE = 512 << 20
"""Bytes beside the matrix: blocks of rows, and what the process needs anyway."""


class EASEConfig(BaselineConfig):
    """Settings of EASE."""

    name: Literal["ease"] = "ease"
    l2: float = Field(300.0, gt=0)
    """L2 regularisation (lambda)."""
    keep: int = Field(200, ge=1)
    """Largest weights that every item keeps, so that the run folder stays small; all where there are no more."""
    recent: float = Field(0.9, gt=0, le=1)
    """Weight of an item of the history over that of the next newer one; 1 for the plain sum, without order."""


@register_baseline("ease", EASEConfig)
class EASE(Baseline):
    """EASE: every item predicted from the others by a ridge regression, all solved at once.

    `P = (X^T X + lambda 1)^-1` and `B_ij = -P_ij / P_jj`, zero on the diagonal (Steck 2019), with X the
    binary `[U, I]` matrix of who chose what. Every item i keeps its `keep` largest `B_ij`, and a history scores
    `sum_i recent^age(i) B_ij`. The solution takes one `I x I` matrix in memory and time that grows with the cube of I.
    """

    def __init__(self, config: EASEConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state)
        self.config = config
        self._weights = from_tensors(state)                              # [I, I]

    @classmethod
    def state_of(cls, config: EASEConfig, histories: Histories, counts: Counts) -> dict[str, Tensor]:
        """Return the largest weights of every item.

        Raises:
            ConfigError: the matrix does not fit into memory.
        """
        items = len(counts) - 1
        check_memory(items)
        weights = solve(user_item_matrix(histories, items), config.l2)   # [I, I]
        blocks = [largest_of_rows(sparse.csr_array(weights[block]), config.keep) for block in row_blocks(items, items)]
        return to_tensors(sparse.csr_array(sparse.vstack(blocks)))

    @property
    def items(self) -> int:
        """Number of items I."""
        return int(self._weights.shape[0])

    def queries(self, histories: Sequence[History]) -> sparse.csr_array:
        """Add up the weights of every history's items, `[B, I]`."""
        return sparse.csr_array(recency_weights(histories, self.items, self.config.recent) @ self._weights)

    def scores(self, queries: sparse.csr_array, start: int, stop: int) -> Tensor:
        """Return the sums of weights, float32 `[B, stop - start]`."""
        return dense_columns(queries, start, stop)

    def similarity(self, codes: Tensor) -> Tensor:
        """Return the weights of some items for the scores of all others, float32 `[N, I]`."""
        return torch.from_numpy(self._weights[codes.numpy() - 1].toarray())


def solve(chosen: sparse.csr_array, l2: float) -> npt.NDArray[np.float32]:
    """Return EASE's weights `[I, I]` of a binary matrix `[U, I]`, computed in place.

    Raises:
        ConfigError: `l2` is so small that the matrix cannot be inverted.
    """
    items = chosen.shape[1]
    by_item = chosen.tocsc()
    gram = np.empty((items, items), np.float32, order="F")               # [I, I], LAPACK's order: no copy
    for block in row_blocks(items, items):
        gram[:, block] = (by_item[:, block].T @ chosen).toarray().T
    gram[np.diag_indices(items)] += np.float32(l2)
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1, clean=0)
    if not failed:
        inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ConfigError(f"backbone.l2 is {l2:g}, too small for this data: the matrix cannot be inverted. Raise it.")
    weights: npt.NDArray[np.float32] = inverse.T                         # C order: the upper triangle is filled
    for block in row_blocks(items, items):  # mirror it below the diagonal
        corner = np.triu(weights[block, block])                          # [R, R]
        weights[block, block] = corner + np.triu(corner, 1).T
        weights[block.stop :, block] = weights[block, block.stop :].T
    diagonal = weights.diagonal().copy()                                 # [I], P_jj
    for block in row_blocks(items, items):
        weights[block] /= -diagonal
    weights[np.diag_indices(items)] = 0
    return weights


def check_memory(items: int) -> None:
    """Refuse a catalogue whose matrix does not fit, before anything is computed.

    Raises:
        ConfigError: it does not; the message says how much is needed and what to do.
    """
    needed, available = 4 * items**2 + SPARE, available_memory()
    if available is not None and needed > available:
        raise ConfigError(
            f"Baseline 'ease' needs about {needed / 1e9:.1f} GB for {items:,} items, but {available / 1e9:.1f} GB are "
            "available. Use a machine with more memory, leave out rare items "
            "(--set filters.min_item_interactions=5), or take --backbone item-knn, which needs far less."
        )
