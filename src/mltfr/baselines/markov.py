"""First-order Markov chain: what followed the last item, smoothed by popularity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor

from mltfr.baselines.base import Baseline, BaselineConfig, Counts, register_baseline
from mltfr.baselines.matrices import dense_columns, from_tensors, recency_weights, to_tensors
from mltfr.interactions import Histories, History


class MarkovConfig(BaselineConfig):
    """Settings of the Markov chain."""

    name: Literal["markov"] = "markov"
    smoothing: float = Field(300.0, gt=0)
    """Weight of popularity, in interactions: transitions of an item that occurred this often count half."""
    newest: int = Field(1, ge=1)
    """Items of a history, from its end, whose transitions are mixed; 1 is the first-order chain."""
    decay: float = Field(0.5, gt=0, le=1)
    """Weight of an item's transitions over that of the next newer one's, with `newest` above 1."""


@dataclass(frozen=True)
class MarkovQueries:
    """What the scores of B histories are made of.

    Attributes:
        seen: `[B, I]`, the share of the score that transitions make.
        rest: float32 `[B, 1]`, the share of popularity.
    """

    seen: sparse.csr_array
    rest: Tensor


@register_baseline("markov", MarkovConfig)
class Markov(Baseline):
    """First-order Markov chain over consecutive items, backing off to popularity.

    `P(j | i) = (n_ij + m p_j) / (n_i + m)`, with `n_ij` how often j came right after i, `n_i` its sum, `p_j`
    the item's share of all training interactions, and `m` the setting `smoothing`: a Dirichlet prior centred on
    popularity (MacKay & Peto, Natural Language Engineering 1995; Zhai & Lafferty, TOIS 2004, "Dirichlet prior").
    Among transitions that never occurred the more popular item thus comes first. With `newest` above 1 the score is
    the mean of `P(j | i)` over the last `newest` items i, weighted by `decay ** age`.
    """

    def __init__(self, config: MarkovConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state)
        self.config = config
        counts = from_tensors(state)                                     # [I, I]
        self._popularity = state["popularity"]                           # [I + 1]
        prior = config.smoothing / (np.asarray(counts.sum(axis=1), np.float64) + config.smoothing)  # [I]
        self._prior = prior.astype(np.float32)
        scale = (prior / config.smoothing).astype(np.float32)            # [I], 1 / (n_i + m)
        self._seen = sparse.csr_array(sparse.diags_array(scale) @ counts)  # [I, I]
        if len(self._popularity) != self.items + 1:
            raise ValueError(f"popularity has {len(self._popularity)} rows for {self.items} items.")

    @classmethod
    def state_of(cls, config: Any, histories: Histories, counts: Counts) -> dict[str, Tensor]:
        """Return the transition counts and the popularity."""
        items = len(counts) - 1
        before, after = histories.items[:-1], histories.items[1:]
        inside = np.ones(max(0, len(histories.items) - 1), np.bool_)
        ends = histories.offsets[1:-1] - 1                               # a user's last item precedes no other's
        inside[ends[(ends >= 0) & (ends < len(inside))]] = False
        inside &= (before > 0) & (after > 0)
        ones = np.ones(int(inside.sum()), np.float32)
        cells = (before[inside] - 1, after[inside] - 1)
        transitions = sparse.csr_array(sparse.coo_array((ones, cells), shape=(items, items)))
        share = np.asarray(counts, np.float64) / max(1, int(np.sum(counts)))
        return {**to_tensors(transitions), "popularity": torch.from_numpy(share.astype(np.float32))}

    @property
    def items(self) -> int:
        """Number of items I."""
        return int(self._seen.shape[0])

    def queries(self, histories: Sequence[History]) -> MarkovQueries:
        """Look up the transitions of the last items; popularity alone where there is none."""
        weights = recency_weights(histories, self.items, self.config.decay, self.config.newest)  # [B, I]
        total = np.asarray(weights.sum(axis=1), np.float32)              # [B]
        weights = sparse.csr_array(sparse.diags_array(1 / np.maximum(total, np.float32(1e-30))) @ weights)
        rest = np.where(total > 0, weights @ self._prior, np.float32(1))  # [B]
        return MarkovQueries(sparse.csr_array(weights @ self._seen), torch.from_numpy(rest.astype(np.float32)[:, None]))

    def scores(self, queries: MarkovQueries, start: int, stop: int) -> Tensor:
        """Return the probabilities of the next item, float32 `[B, stop - start]`."""
        seen = dense_columns(queries.seen, start, stop)                  # [B, stop - start]
        return seen.addcmul_(queries.rest, self._popularity[start:stop])
