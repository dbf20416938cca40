"""Item-kNN: the neighbours of the history's items (Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS 2004)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor

from mltfr.baselines.base import BaselineConfig, Counts, register_baseline, shares
from mltfr.baselines.matrices import largest_of_rows, row_blocks, to_tensors, user_item_matrix
from mltfr.baselines.neighbours import Neighbours
from mltfr.baselines.pairs import NearPairs
from mltfr.interactions import Histories


class ItemKNNConfig(BaselineConfig):
    """Settings of item-kNN."""

    name: Literal["item-knn"] = "item-knn"
    neighbours: int = Field(500, ge=1)
    """Most similar items that every item keeps."""
    similarity: Literal["cosine", "conditional"] = "cosine"
    """Of two items' users: the cosine, or the share of the one's users that have the other as well."""
    alpha: float = Field(0.5, ge=0, le=1)
    """How much the other item's popularity counts against it, for `conditional`: 0 not at all."""
    shrinkage: float = Field(50.0, ge=0)
    """Users added to the denominator, so that similarities that few users back count less."""
    users: Literal["alike", "by length"] = "alike"
    """Whether all users count alike, or each by one over the length of the history."""
    lags: int = Field(10, ge=0)
    """Distance up to which two items of a history are a pair; 0 for any two items that a user has, as in the
    textbooks."""
    lag_decay: float = Field(0.9, gt=0, le=1)
    """Weight of a pair over that of one at a distance of one item less, with `lags` above 0."""
    recent: float = Field(0.6, gt=0, le=1)
    """Weight of an item of the history over that of the next newer one; 1 for the plain sum, without order."""


@register_baseline("item-knn", ItemKNNConfig)
class ItemKNN(Neighbours):
    """Item-kNN: the items most similar to those of the history, by who chose them.

    With `v_u` the weight of user u, `c_ij` the sum of `v_u` over the users of both items and `c_i = c_ii`:
    `s_ij = c_ij / (sqrt(c_i c_j) + h)` (cosine; Sarwar et al. 2001) or `c_ij / (c_i c_j^alpha + h)`
    (conditional; Deshpande & Karypis 2004), `h` being `shrinkage` times the mean of `v_u`. With `lags` above 0 a pair
    counts for less the farther apart its items are: `c_ij` is the sum of `v_u lag_decay^(d-1)` over the places where i
    and j stand d items apart, at most `lags`. Every item i keeps its `neighbours` largest `s_ij`, and a history scores
    `sum_i recent^age(i) s_ij`. Items that neighbour none of the history follow after all others, by popularity, with
    scores in [-1, 0).
    """

    unit = "sum of similarities"

    def __init__(self, config: ItemKNNConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state, config.recent)
        self.config = config
        self._popularity = (self._counts[1:] / self._counts.sum().clamp(min=1)).float().unsqueeze(0)  # [1, I]

    @classmethod
    def state_of(cls, config: ItemKNNConfig, histories: Histories, counts: Counts) -> dict[str, Tensor]:
        """Return every item's nearest neighbours, found for some items at a time, and the popularity."""
        items = len(counts) - 1
        chosen = user_item_matrix(histories, items)                      # [U, I]
        lengths = np.asarray(chosen.sum(axis=1), np.float64)             # [U]
        weight = 1 / np.maximum(lengths, 1) if config.users == "by length" else np.ones(len(lengths))
        shrinkage = config.shrinkage * float(weight.mean()) if len(weight) else 0.0
        weighted = sparse.csr_array(sparse.diags_array(weight.astype(np.float32)) @ chosen).tocsc()  # [U, I]
        size = np.asarray(weighted.sum(axis=0), np.float64)              # [I], c_i
        root = size**0.5
        pairs = NearPairs(histories, items, config.lags, config.lag_decay, weight) if config.lags else None
        blocks = []
        for block in row_blocks(items, items):
            counted = weighted[:, block].T @ chosen if pairs is None else pairs.rows(block, earlier=True)
            both = sparse.coo_array(counted)                             # [R, I], c_ij
            of, other = both.row + block.start, both.col
            scale = root[of] * root[other] if config.similarity == "cosine" else size[of] * size[other] ** config.alpha
            similar = np.where(of == other, 0, both.data / (scale + shrinkage)).astype(np.float32)
            cells = sparse.csr_array((similar, (both.row, both.col)), shape=both.shape)  # [R, I], s_ij
            blocks.append(largest_of_rows(cells, config.neighbours))
        nearest = sparse.csr_array(sparse.vstack(blocks)) if blocks else sparse.csr_array((0, 0), dtype=np.float32)
        return {**to_tensors(nearest), "counts": torch.from_numpy(np.array(counts, np.int64))}

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the shares of the squared sums of similarities, popularity where `shares` backs off, `[B, I]`."""
        return shares(scores, self._popularity)
