"""Popularity: the items that most people chose, for everybody; the sanity row beside every result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from mltfr.baselines.base import Baseline, BaselineConfig, Counts, Parts, register_baseline
from mltfr.interactions import Histories, History


class PopularityConfig(BaselineConfig):
    """Popularity has nothing to set."""

    name: Literal["popularity"] = "popularity"


@register_baseline("popularity", PopularityConfig)
class Popularity(Baseline):
    """The items with the most training interactions, the same for everybody."""

    unit = "training interactions"

    def __init__(self, config: PopularityConfig, state: Mapping[str, Tensor]) -> None:
        super().__init__(config, state)
        self._scores = state["counts"].float()                           # [I + 1]

    @classmethod
    def state_of(cls, config: Any, histories: Histories, counts: Counts) -> dict[str, Tensor]:
        """Return the counts."""
        return {"counts": torch.from_numpy(np.array(counts, np.int64))}

    @classmethod
    def of_counts(cls, counts: Counts) -> Self:
        """Return popularity where only the counts are known, which is all that it needs."""
        return cls(PopularityConfig(), {"counts": torch.from_numpy(np.array(counts, np.int64))})

    @property
    def items(self) -> int:
        """Number of items I."""
        return len(self._scores) - 1

    def queries(self, histories: Sequence[History]) -> int:
        """Return how many histories there are; what is in them does not matter."""
        return len(histories)

    def scores(self, queries: int, start: int, stop: int) -> Tensor:
        """Return the counts, float32 `[B, stop - start]`."""
        return self._scores[start:stop].repeat(queries, 1)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return every item's share of all training interactions, float32 `[B, I]`."""
        return scores.div_(scores.sum(1, keepdim=True))

    def parts(self, history: History, codes: Counts) -> Parts:
        """Return the counts alone: no item of a history has a part in them."""
        base = self._scores.numpy()[codes]                               # [C]
        return Parts(np.zeros(0, np.int64), np.zeros((0, len(codes)), np.float32), base)
