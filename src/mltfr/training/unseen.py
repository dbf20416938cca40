"""Histories that training does not see, on which a fusion is diagnosed."""

from __future__ import annotations

import numpy as np

from mltfr.interactions import Split
from mltfr.interactions.collate import Codes, pad_right_aligned

UNSEEN = 256
"""Histories that are drawn."""


def unseen_histories(split: Split, max_length: int, seed: int) -> Codes:
    """Return some histories from which validation predicts, right-aligned, int64 `[U, L]`.

    Args:
        split: the split; its validation examples are drawn from.
        max_length: items of a history that are read, at most.
        seed: of what is drawn.
    """
    examples = split.validation
    chosen = np.random.default_rng(seed).choice(len(examples), min(UNSEEN, len(examples)), replace=False)
    pairs = zip(examples.user[chosen], examples.cut[chosen], strict=True)
    return pad_right_aligned([split.histories[user][:cut] for user, cut in pairs], max_length)
