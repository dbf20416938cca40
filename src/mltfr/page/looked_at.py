"""What a fusion looks at over many histories: router shares by length, and how often every token is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mltfr.evaluation.slices import length_slices
from mltfr.explain.kept import kept_of, words_of
from mltfr.interactions import Examples, History, evenly_spaced
from mltfr.interactions.collate import has_known_item
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import REFIT

HISTORIES = 512
"""Histories that are looked at, evenly spaced among test examples, or a refit's users."""


@dataclass(frozen=True)
class LookedAt:
    """What the newest positions of some histories look at.

    Attributes:
        tables: names of the token tables.
        histories: how many histories were looked at.
        shares: by bin of length, the number of histories and the router's mean share of every table.
        tokens: by table, rows of the table with the share of the histories that keep them, the most frequent first.
        words: by table, the text of its rows; a table that is not at hand, or is a control's, is missing.
    """

    tables: Sequence[str]
    histories: int
    shares: Mapping[str, tuple[int, Sequence[float]]]
    tokens: Mapping[str, Sequence[tuple[int, float]]]
    words: Mapping[str, Sequence[str]]


def look(fitted: FittedModel, most: int = HISTORIES) -> LookedAt | None:
    """Return what a run's fusion looks at; None where there is no router, or no history.

    Args:
        fitted: the run.
        most: histories that are looked at.
    """
    histories = _some(fitted, most)
    found = kept_of(fitted.model, histories)
    if not histories or not found.shares:
        return None
    names, count = list(found.shares), len(histories)
    share = np.stack(list(found.shares.values()), 1)                                             # [H, N]
    bins = length_slices(np.array([len(history) for history in histories]))
    often = Counter(token for kept in found.tokens for token in kept)
    ordered = sorted(often.items(), key=lambda one: (-one[1], one[0]))
    return LookedAt(
        names,
        count,
        {name: (int(mask.sum()), share[mask].mean(0).tolist()) for name, mask in bins.items() if mask.any()},
        {name: [(row, n / count) for (table, row), n in ordered if table == name] for name in names},
        words_of(fitted.config, fitted.facts),
    )


def _some(fitted: FittedModel, most: int) -> list[History]:
    """Return histories of test examples, or of a refit's users, evenly spaced, without items unseen in training."""
    examples, split = fitted.split.test, fitted.split
    if REFIT in fitted.facts:  # nothing is held out: all that users did
        examples = Examples(np.arange(len(split.histories)), split.histories.lengths)
    rows = evenly_spaced(len(examples), most)
    found = [split.histories[int(examples.user[row])][: int(examples.cut[row])] for row in rows]
    known = [history[history > 0] for history in found]
    return [history for history, knows in zip(known, has_known_item(known), strict=True) if knows]
