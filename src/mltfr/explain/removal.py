"""Removal: a history without some of its items, scored while everything else stays as it was.

Two things stay as they were with the whole history. The exclusions do: a removed item does not come back as a
candidate, or ranks would move for the wrong reason. And so does the window: a model that reads the newest L items does
not get an older one in place of a removed one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from mltfr.baselines import Baseline
from mltfr.inference import BlendScorer, FallbackScorer, ModelScorer, Rules, Scorer
from mltfr.inference.select import check_numbers
from mltfr.inference.top_k import scoring_batches
from mltfr.interactions import UNKNOWN, History
from mltfr.interactions.collate import Codes, has_known_item

EMPTY = np.zeros(0, np.int32)
Mask = npt.NDArray[np.bool_]


def window_of(scorer: Scorer) -> int | None:
    """Return how many known items of a history, from its end, a scorer reads; None for all."""
    if isinstance(scorer, ModelScorer):
        return scorer.max_length
    if isinstance(scorer, BlendScorer):
        windows = [window_of(member) for member, _ in scorer.members]
        read = [window for window in windows if window is not None]
        return max(read) if len(read) == len(windows) else None
    return scorer.window if isinstance(scorer, Baseline) else None


@dataclass(frozen=True)
class ReadHistory:
    """A history, and what of it a model reads.

    Attributes:
        codes: all of it, oldest first; may hold `UNKNOWN`.
        window: the known items that are read.
    """

    codes: History
    window: History

    @classmethod
    def of(cls, codes: History, length: int | None) -> ReadHistory:
        """Return a history of which the newest `length` known items are read; all of them if None."""
        known = codes[codes != UNKNOWN]
        return cls(codes, known if length is None else known[max(0, len(known) - length) :])

    @cached_property
    def items(self) -> Codes:
        """The items that are read, each once, the newest first, int64 `[N]`."""
        return np.array(list(dict.fromkeys(self.window[::-1].tolist())), np.int64)

    @cached_property
    def older(self) -> Codes:
        """Known items that are all outside the window, each once, the newest first, int64."""
        known = self.codes[self.codes != UNKNOWN]
        older = dict.fromkeys(known[: len(known) - len(self.window)][::-1].tolist())
        return np.array([code for code in older if code not in set(self.items.tolist())], np.int64)

    def places(self, code: int) -> tuple[int, ...]:
        """Return where an item stands, 1 the oldest place."""
        return tuple(self._places.get(code, ()))

    def without(self, codes: Collection[int]) -> History:
        """Return what is read, without all occurrences of some items."""
        return self.window[~self._hold(codes)]

    def only(self, codes: Collection[int]) -> History:
        """Return what is read of some items alone."""
        return self.window[self._hold(codes)]

    @cached_property
    def _places(self) -> Mapping[int, list[int]]:
        places: dict[int, list[int]] = {}
        for place, code in enumerate(self.codes.tolist(), 1):
            places.setdefault(code, []).append(place)
        return places

    def _hold(self, codes: Collection[int]) -> Mask:
        """Return which places that are read hold one of some items."""
        return (self.window[:, None] == np.fromiter(codes, np.int64, len(codes))).any(1)


@dataclass(frozen=True)
class Scored:
    """Scores and ranks of C items for R histories.

    Attributes:
        scores: float32 `[R, C]`, of the model itself.
        ranks: int64 `[R, C]`, as the items are recommended: a history without an item gets the most popular ones.
    """

    scores: npt.NDArray[np.float32]
    ranks: npt.NDArray[np.int64]


def score(scorer: FallbackScorer, histories: Sequence[History], codes: Codes, forbidden: Mask) -> Scored:
    """Return scores and ranks of some items for histories, which are scored in batches together.

    Args:
        scorer: scores histories, and popularity where there is nothing to read.
        histories: R of them.
        codes: codes of C items, int64 `[C]`.
        forbidden: items that are no candidates, for all of these histories alike, bool `[I + 1]`.

    Raises:
        MltfrError: a score is not a number.
    """
    scores = np.empty((len(histories), len(codes)), np.float32)
    ranks = np.empty(scores.shape, np.int64)
    columns, blocked = torch.from_numpy(codes - 1), torch.from_numpy(forbidden[1:])
    for batch in scoring_batches(scorer.scorer, histories, Rules(remove_seen=False)):
        found = batch.scores(1, scorer.items + 1).cpu()                  # [B, I]
        check_numbers(found)
        scores[batch.index] = found[:, columns].numpy()
        empty = [row for row, known in enumerate(has_known_item([histories[i] for i in batch.index])) if not known]
        with torch.inference_mode():
            if empty:
                popular = scorer.fallback.queries([EMPTY] * len(empty))
                found[empty] = scorer.fallback.scores(popular, 1, scorer.items + 1).cpu()
            own = found[:, columns]                                      # [B, C]
            found.masked_fill_(blocked, -torch.inf)
        for row, marks, others in zip(batch.index, own.numpy(), found.numpy(), strict=True):      # [C], [I]
            high = np.flatnonzero(others >= marks.min(initial=np.inf))   # only these can rank before one of the items
            high_scores, starts = others[high], np.searchsorted(high, codes - 1)
            for column, (start, mark) in enumerate(zip(starts, marks, strict=True)):
                before, behind = high_scores[:start] >= mark, high_scores[start:] > mark
                ranks[row, column] = 1 + np.count_nonzero(before) + np.count_nonzero(behind)
    return Scored(scores, ranks)
