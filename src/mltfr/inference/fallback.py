"""What is scored for a history of which training knows no item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mltfr.inference.scorer import Scorer
from mltfr.interactions.collate import History, has_known_item


class FallbackScorer:
    """Scores by one scorer, and by another where a history has no known item.

    Args:
        scorer: scores every history with a known item.
        fallback: scores the others; popularity, usually.

    Raises:
        ValueError: the two know different numbers of items.
    """

    def __init__(self, scorer: Scorer, fallback: Scorer) -> None:
        if scorer.items != fallback.items:
            raise ValueError(f"The scorer knows {scorer.items} items, its fallback {fallback.items}.")
        self.scorer = scorer
        self.fallback = fallback

    @property
    def items(self) -> int:
        """Number of items I."""
        return self.scorer.items

    def queries(self, histories: Sequence[History]) -> tuple[Any, Any, Tensor]:
        """Return the scorer's queries of all histories, the fallback's of those it serves, and their rows."""
        rows = np.flatnonzero(~has_known_item(histories))                # [F]
        served = [histories[row] for row in rows.tolist()]
        fallback = self.fallback.queries(served) if served else None
        return self.scorer.queries(histories), fallback, torch.from_numpy(rows)

    def scores(self, queries: tuple[Any, Any, Tensor], start: int, stop: int) -> Tensor:
        """Return float32 scores `[B, stop - start]`."""
        main, fallback, rows = queries
        scores = self.scorer.scores(main, start, stop)
        if len(rows):
            with torch.inference_mode():
                replaced = self.fallback.scores(fallback, start, stop)   # [F, stop - start]
                scores[rows.to(scores.device)] = replaced.to(scores.device)
        return scores
