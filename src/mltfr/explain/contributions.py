"""Contributions: what every item of a history does to the scores of some items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltfr.baselines import Baseline
from mltfr.explain.explanation import Method
from mltfr.explain.removal import EMPTY, Mask, ReadHistory, score
from mltfr.inference import BlendScorer, FallbackScorer, Scorer
from mltfr.interactions import History
from mltfr.interactions.collate import Codes

Values = npt.NDArray[np.float32]
NOTHING_LEFT = "what is left without any item of the history"
NOTHING_READ = "the score of an empty history, of which the network makes 0"
POPULARITY = "the score of an empty history, by the members' probabilities without one"
EMPTY_HISTORY = "the score of an empty history"


@dataclass(frozen=True)
class Contributions:
    """What N items of a history do to the scores of C items.

    Attributes:
        method: how it was found.
        scores: of the whole history, `[C]`.
        ranks: of the whole history, `[C]`.
        values: the contributions `[N, C]`, of the history's `items`.
        reference: the score that effects are counted from, `[C]`.
        reference_is: that in words.
        without: the ranks without each item, `[N, C]`; None where they were not asked.
    """

    method: Method
    scores: Values
    ranks: Codes
    values: Values
    reference: Values
    reference_is: str
    without: Codes | None = None

    @property
    def sums(self) -> Values:
        """The sums of the contributions, `[C]`."""
        return self.values.sum(0)

    @property
    def totals(self) -> Values:
        """Score minus reference, `[C]`."""
        return self.scores - self.reference


def rows_of(history: ReadHistory) -> list[History]:
    """Return the histories that leaving one item out asks for: as it is, empty, and without each item."""
    return [history.window, EMPTY, *(history.without([code]) for code in history.items.tolist())]


def contributions(scorer: FallbackScorer, history: ReadHistory, codes: Codes, forbidden: Mask) -> Contributions:
    """Return the contributions of a history's items: exact parts where scores are such sums, else by leaving one out.

    Args:
        scorer: scores histories.
        history: one with an item that is read.
        codes: codes of C items, int64 `[C]`.
        forbidden: items that are no candidates with the whole history, bool `[I + 1]`.
    """
    main = scorer.scorer
    parts = main.parts(history.window, codes) if isinstance(main, Baseline) else None
    if parts is not None:
        whole = score(scorer, [history.window], codes, forbidden)
        values = np.zeros((len(history.items), len(codes)), np.float32)
        place = {code: number for number, code in enumerate(history.items.tolist())}
        values[[place[code] for code in parts.items.tolist()]] = parts.values
        return Contributions("exact parts", whole.scores[0], whole.ranks[0], values, parts.base, NOTHING_LEFT)
    found = score(scorer, rows_of(history), codes, forbidden)
    values = found.scores[0] - found.scores[2:]                          # [N, C]
    scores, ranks = found.scores, found.ranks
    return Contributions("leave one out", scores[0], ranks[0], values, scores[1], _reference_of(main), ranks[2:])


def unit_of(scorer: Scorer) -> str:
    """Return what the scores of a scorer count."""
    if isinstance(scorer, BlendScorer):
        return "probability"
    return scorer.unit if isinstance(scorer, Baseline) else "logit"


def _reference_of(scorer: Scorer) -> str:
    if isinstance(scorer, BlendScorer):
        return POPULARITY
    return EMPTY_HISTORY if isinstance(scorer, Baseline) else NOTHING_READ


def summands(scorer: Scorer, window: History, codes: Codes) -> list[tuple[float, Values]]:
    """Return the weight of every member of a blend and its summand in the scores of C items; none of other scorers."""
    if not isinstance(scorer, BlendScorer):
        return []
    return [(weight, summand.numpy()[codes - 1]) for weight, summand in scorer.summands(window)]
