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

from mltfr.baselines.base import Baseline, BaselineConfig, Counts, Parts, register_baseline
from mltfr.baselines.matrices import item_weights, recency_weights, row_blocks, user_item_matrix
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


@register_baseline("ease", EASEConfig)
class EASE(Baseline):
    """EASE as its paper solves it: every item predicted from the others by a ridge regression, all at once.

    `P = (X^T X + lambda 1)^-1` and `B_ij = -P_ij / P_jj`, zero on the diagonal (Steck 2019, equation 8), with X the
    binary `[U, I]` matrix of who chose what. A history scores the plain sum of its items' rows, whatever their order.
    B is one `I x I` matrix, in memory and in the run folder, and takes time that grows with the cube of I.
    """

    unit = "sum of weights"

    def __init__(self, config: EASEConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state)
        weights = state["weights"]                                       # [I, I]
        if weights.dim() != 2 or len(weights) != weights.shape[1]:
            raise ValueError(f"weights has the shape {tuple(weights.shape)}, and is no matrix of items and items.")
        self._weights = weights.numpy()

    @classmethod
    def state_of(cls, config: EASEConfig, histories: Histories, counts: Counts) -> dict[str, Tensor]:
        """Return all weights, `[I, I]`.

        Raises:
            ConfigError: the matrix does not fit into memory.
        """
        items = len(counts) - 1
        check_memory(config.name, items)
        return {"weights": torch.from_numpy(solve(user_item_matrix(histories, items), config.l2))}

    @property
    def items(self) -> int:
        """Number of items I."""
        return len(self._weights)

    def queries(self, histories: Sequence[History]) -> Tensor:
        """Add up the weights of every history's items, `[B, I]`."""
        summed: npt.NDArray[np.float32] = recency_weights(histories, self.items, decay=1.0) @ self._weights
        return torch.from_numpy(summed)

    def scores(self, queries: Tensor, start: int, stop: int) -> Tensor:
        """Return the sums of weights, float32 `[B, stop - start]`."""
        return queries[:, start - 1 : stop - 1].clone()

    def parts(self, history: History, codes: Counts) -> Parts:
        """Return the weights of every item of the history, which sum to the scores."""
        items, _ = item_weights(history, self.items, decay=1.0)          # [N]
        return Parts(items, self._weights[np.ix_(items - 1, codes - 1)], np.zeros(len(codes), np.float32))

    def similarity(self, codes: Tensor) -> Tensor:
        """Return the weights of some items for the scores of all others, float32 `[N, I]`."""
        return torch.from_numpy(self._weights[codes.numpy() - 1])


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


def check_memory(name: str, items: int) -> None:
    """Refuse a catalogue whose matrix does not fit, before anything is computed.

    Args:
        name: of the baseline, for the message.
        items: number of items I.

    Raises:
        ConfigError: it does not; the message says how much is needed and what to do.
    """
    needed, available = 4 * items**2 + SPARE, available_memory()
    if available is not None and needed > available:
        raise ConfigError(
            f"Baseline '{name}' needs about {needed / 1e9:.1f} GB for {items:,} items, but {available / 1e9:.1f} GB "
            "are available. Use a machine with more memory, leave out rare items "
            "(--set filters.min_item_interactions=5), or take --backbone item-knn, which needs far less."
        )
