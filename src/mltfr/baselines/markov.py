"""Markov chain over several lags: what followed the newest items, soon after them, smoothed by popularity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor

from mltfr.baselines.base import Baseline, BaselineConfig, Counts, Parts, register_baseline
from mltfr.baselines.matrices import dense_columns, from_tensors, item_weights, recency_weights, to_tensors
from mltfr.baselines.pairs import NearPairs
from mltfr.interactions import Histories, History


class MarkovConfig(BaselineConfig):
    """Settings of the Markov chain."""

    name: Literal["markov"] = "markov"
    lags: int = Field(10, ge=1)
    """Distance up to which two items of a history are a transition; 1 takes neighbours only."""
    lag_decay: float = Field(0.8, gt=0, le=1)
    """Weight of a transition over that of one at a distance of one item less."""
    smoothing: float = Field(150.0, gt=0)
    """Weight of popularity, in transitions: transitions of an item that has this many count half."""
    newest: int = Field(10, ge=1)
    """Items of a history, from its end, whose transitions are mixed; 1 looks at the last one only."""
    decay: float = Field(0.6, gt=0, le=1)
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
    """Markov chain over transitions at several lags, backing off to popularity.

    `P(j | i) = (n_ij + m p_j) / (n_i + m)`, with `n_ij` the sum of `lag_decay^(d-1)` over the places where j comes d
    items after i, d being at most `lags`, `n_i` its sum over j, `p_j` the item's share of all training interactions,
    and `m` the setting `smoothing`: a Dirichlet prior centred on popularity (MacKay & Peto, Natural Language
    Engineering 1995; Zhai & Lafferty, TOIS 2004, "Dirichlet prior"). Among transitions that never occurred the more
    popular item thus comes first, and an item that was rarely followed by anything says little. The score is the mean
    of `P(j | i)` over the last `newest` items i, weighted by `decay^age`. `lags = 1` with `newest = 1` is the
    first-order chain.
    """

    unit = "probability"

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
        """Return the weighted counts of transitions and the popularity."""
        items = len(counts) - 1
        transitions = NearPairs(histories, items, config.lags, config.lag_decay).rows(slice(0, items))
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

    @property
    def window(self) -> int:
        """How many known items of a history, from its end, are read."""
        return self.config.newest

    def parts(self, history: History, codes: Counts) -> Parts:
        """Return by how much every newest item i moves the probabilities from popularity: `w_i (P(j | i) - p_j)`."""
        items, weights = item_weights(history, self.items, self.config.decay, self.config.newest)    # [N], [N]
        weights = weights / max(float(weights.sum()), 1e-30)             # [N], they sum to one
        popularity = self._popularity.numpy()[codes]                     # [C]
        moved = self._seen[items - 1][:, codes - 1].toarray() + (self._prior[items - 1, None] - 1) * popularity
        return Parts(items, (weights[:, None] * moved).astype(np.float32), popularity)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return the scores, which are probabilities but for rounding, float32 `[B, I]`."""
        return scores.div_(scores.sum(1, keepdim=True))
