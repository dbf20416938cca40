"""Which items are candidates for a history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mltfr.inference.scorer import Scorer
from mltfr.interactions.collate import Codes, History, known_items, length_sorted_batches

BLOCK_SCORES = 1 << 24
"""Scores held at once when a batch is scored against all items: 64 MiB of float32."""


@dataclass(frozen=True)
class Rules:
    """Which items may be recommended; the others score minus infinity.

    Attributes:
        remove_seen: leave out the items of the history, all of it and not only what the model reads.
        allow: item codes that may be recommended; None for all.
        deny: item codes that may not.
    """

    remove_seen: bool = True
    allow: Sequence[int] | None = None
    deny: Sequence[int] = ()

    def blocked(self, items: int) -> Tensor | None:
        """Return the codes that the lists forbid to everybody, bool `[I + 1]`; None if there are none.

        Raises:
            ValueError: a list holds something that is not an item's code.
        """
        for name, codes in (("allow", self.allow or ()), ("deny", self.deny)):
            wrong = [code for code in codes if not 1 <= code <= items]
            if wrong:
                raise ValueError(f"{name} holds {wrong[0]}, but item codes are 1 to {items}.")
        if self.allow is None and not len(self.deny):
            return None
        blocked = torch.full((items + 1,), self.allow is not None)
        if self.allow is not None:
            blocked[torch.as_tensor(np.asarray(self.allow, np.int64))] = False
        blocked[torch.as_tensor(np.asarray(self.deny, np.int64))] = True
        return blocked


@dataclass(frozen=True)
class Batch:
    """Some histories, ready to be scored against any range of items.

    Attributes:
        index: int64 `[B]`, their positions in the caller's order.
    """

    index: Codes
    scorer: Scorer
    queries: Any
    seen: tuple[Codes, Codes] | None
    blocked: Tensor | None

    def scores(self, start: int, stop: int) -> Tensor:
        """Return scores `[B, stop - start]` of codes from `start`; minus infinity where forbidden."""
        scores = self.scorer.scores(self.queries, start, stop)
        with torch.inference_mode():
            if self.seen is not None:
                rows, codes = self.seen
                inside = (codes >= start) & (codes < stop)
                flat = rows[inside] * (stop - start) + codes[inside] - start
                scores.view(-1)[torch.from_numpy(flat).to(scores.device)] = -torch.inf
            if self.blocked is not None:
                scores.masked_fill_(self.blocked[start:stop].to(scores.device), -torch.inf)
        return scores


def scored_batches(
    scorer: Scorer, histories: Sequence[History], rules: Rules, rows: int = 256
) -> Iterator[Batch]:
    """Yield the histories in batches of similar length, at most `rows` and at most 64 MiB of scores each.

    Ranks and top lists both come from here, so that the same histories get the same scores to the bit.
    """
    blocked = rules.blocked(scorer.items)
    size = max(1, min(rows, BLOCK_SCORES // max(1, scorer.items)))
    for index in length_sorted_batches(histories, size):
        batch = [histories[i] for i in index]
        seen = known_items(batch) if rules.remove_seen else None
        yield Batch(index, scorer, scorer.queries(batch), seen, blocked)
