"""What a fusion looks at: router shares by length of the history, and kept tokens as words, over some histories."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mltfr.evaluation.slices import length_slices
from mltfr.explain.kept import table_words
from mltfr.fusion.mltfr import MltfrFusion
from mltfr.interactions import History
from mltfr.interactions.collate import has_known_item, pad_right_aligned
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import NeuralModel

HISTORIES = 512
"""Histories that are looked at, evenly spaced among the test examples: as many however many users there are."""
BATCH = 32


@dataclass(frozen=True)
class LookedAt:
    """What the newest positions of some histories look at.

    Attributes:
        tables: names of the token tables.
        histories: how many histories were looked at.
        shares: by bin of length, the number of histories and the router's mean share of every table.
        tokens: by table, rows of the table with the share of the histories that keep them, the most frequent first.
        words: by table, the text of its rows; a table that is not at hand is missing.
    """

    tables: Sequence[str]
    histories: int
    shares: Mapping[str, tuple[int, Sequence[float]]]
    tokens: Mapping[str, Sequence[tuple[int, float]]]
    words: Mapping[str, Sequence[str]]


def reads_tables(fitted: FittedModel) -> bool:
    """Return whether a run is a network with the router and the filters of the default arithmetic."""
    return isinstance(fitted.model, NeuralModel) and isinstance(fitted.model.fusion, MltfrFusion)


def look(fitted: FittedModel, most: int = HISTORIES) -> LookedAt | None:
    """Return what a run's fusion looks at; None where there is no router, or no history.

    Args:
        fitted: the run.
        most: histories that are looked at.
    """
    model = fitted.model
    if not isinstance(model, NeuralModel) or not isinstance(model.fusion, MltfrFusion):
        return None
    histories = _some(fitted, most)
    if not histories:
        return None
    names, weights = list(model.fusion.widths), []
    keeps: dict[str, Counter[int]] = defaultdict(Counter)
    window = model.backbone.max_length
    for start in range(0, len(histories), BATCH):
        batch = torch.from_numpy(pad_right_aligned(histories[start : start + BATCH], window))    # [B, L]
        with torch.inference_mode():
            inputs = model.fusion_inputs(batch.to(model.item_embedding.weight.device))
            weights.append(model.fusion.router(inputs[0][:, -1]).float().cpu().numpy())          # [B, N]
            for name, (ids, _) in model.fusion.kept_tokens(*inputs).items():
                for row in ids[:, -1].tolist():
                    keeps[name].update(set(row))
    share = np.concatenate(weights)                                                              # [H, N]
    lengths = np.array([len(history) for history in histories])
    bins = {name: mask for name, mask in length_slices(lengths).items() if mask.any()}
    count = len(histories)
    return LookedAt(
        names,
        count,
        {name: (int(mask.sum()), share[mask].mean(0).tolist()) for name, mask in bins.items()},
        {name: [(row, n / count) for row, n in sorted(kept.items(), key=lambda one: (-one[1], one[0]))]
         for name, kept in keeps.items()},
        table_words(fitted.config.tokens, fitted.facts.get("tables", ())),
    )  # fmt: skip


def _some(fitted: FittedModel, most: int) -> list[History]:
    """Return histories of test examples, evenly spaced, without items that training has not seen."""
    examples, split = fitted.split.test, fitted.split
    rows = np.unique(np.linspace(0, len(examples) - 1, min(most, len(examples))).astype(np.int64))
    found = [split.histories[int(examples.user[row])][: int(examples.cut[row])] for row in rows]
    known = [history[history > 0] for history in found]
    return [history for history, knows in zip(known, has_known_item(known), strict=True) if knows]
