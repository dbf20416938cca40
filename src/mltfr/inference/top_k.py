"""The k best items of many histories, without ever holding a users x items matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mltfr.inference.rules import Rules
from mltfr.inference.scorer import Scorer
from mltfr.inference.select import best_keys, merge_keys, unpack
from mltfr.interactions.collate import Codes, History, flat, length_sorted_batches
from mltfr.storage.progress import SILENT, Progress

BLOCK_SCORES = 1 << 24
"""Scores held at once when a batch is scored against all items: 64 MiB of float32."""


@dataclass(frozen=True)
class TopK:
    """The best items of every history, in the order in which the histories were given.

    Attributes:
        codes: int64 `[U, k]`, best first; 0 beyond `counts`. A k larger than the catalogue is the catalogue's size.
        scores: float32 `[U, k]`; minus infinity beyond `counts`.
        counts: int64 `[U]`; k, or the number of candidates where the rules leave fewer.
    """

    codes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, histories: int, k: int) -> TopK:
        """Return lists without an item, to be filled batch by batch."""
        codes = np.zeros((histories, k), np.int64)
        return cls(codes, np.full(codes.shape, -np.inf, np.float32), np.zeros(histories, np.int64))

    def fill(self, index: Codes, keys: Tensor) -> None:
        """Write the keys `[B, <= k]` of the histories `index`, best first; those of minus infinity are left out."""
        codes, scores = (part.cpu().numpy() for part in unpack(keys))
        allowed = scores > -np.inf                                       # [B, <= k]
        width = codes.shape[1]
        self.codes[index, :width] = np.where(allowed, codes, 0)
        self.scores[index, :width] = scores
        self.counts[index] = allowed.sum(1)


@dataclass(frozen=True)
class ScoringBatch:
    """Some histories, ready to be scored against any range of items under the rules.

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


def scoring_batches(
    scorer: Scorer, histories: Sequence[History], rules: Rules, rows: int = 256
) -> Iterator[ScoringBatch]:
    """Yield the histories in batches of similar length, at most `rows` and at most 64 MiB of scores each.

    Ranks and top lists both come from here, so that the same histories get the same scores to the bit.
    """
    blocked = rules.blocked(scorer.items)
    size = max(1, min(rows, BLOCK_SCORES // max(1, scorer.items)))
    for index in length_sorted_batches(histories, size):
        batch = [histories[i] for i in index]
        yield ScoringBatch(index, scorer, scorer.queries(batch), rules.seen(*flat(batch)), blocked)


def top_k(
    scorer: Scorer,
    histories: Sequence[History],
    k: int,
    rules: Rules | None = None,
    *,
    chunk: int = 1 << 17,
    progress: Progress = SILENT,
) -> TopK:
    """Return the k best items of every history, exactly; among equal scores the lower code comes first.

    Args:
        scorer: scores the items.
        histories: item codes, oldest first.
        k: how many items a history gets at most.
        rules: which items are candidates; by default all but those of the history.
        chunk: items scored at a time.
        progress: advanced by every batch's histories.

    Raises:
        ValueError: k or `chunk` is less than 1, or a list of `rules` holds no item code.
        MltfrError: a score is not a number.
    """
    if k < 1 or chunk < 1:
        raise ValueError(f"k and chunk must be at least 1, got k={k} and chunk={chunk}.")
    k = min(k, scorer.items)
    result = TopK.empty(len(histories), k)
    for batch in scoring_batches(scorer, histories, rules or Rules()):
        keys = None
        for start in range(1, scorer.items + 1, chunk):
            stop = min(start + chunk, scorer.items + 1)
            with torch.inference_mode():
                keys = merge_keys(keys, best_keys(batch.scores(start, stop), start, k), k)
        if keys is not None:
            result.fill(batch.index, keys)
        progress.advance(len(batch.index))
    return result
