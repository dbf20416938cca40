"""New items: some items are held out of training altogether, and asked for in the test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mltfr.interactions.log import Grouped
from mltfr.interactions.split import Examples
from mltfr.interactions.splits.lengths import SplitLengths

NEW_ITEMS = "new-items"
"""Name of the method."""


def draw_items(grouped: Grouped, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which items are held out, `[I]`: as many as the share says, one at least, whatever order they come in."""
    ids = grouped.item_ids.to_list()
    order = sorted(range(len(ids)), key=ids.__getitem__)
    held = np.zeros(len(ids), np.bool_)
    drawn = np.random.default_rng(seed).choice(len(ids), max(1, round(share * len(ids))), replace=False)
    held[np.asarray(order)[drawn]] = True
    return held


def hold_items(grouped: Grouped, held: npt.NDArray[np.bool_]) -> tuple[SplitLengths, Examples]:
    """Return how users are cut where some items are in no split but the test, and the test examples.

    Each user's last interaction with another item is validation, where one is left before it. Every interaction with a
    held-out item is a test example, of which the input is what the user did before with other items, if that is
    anything; the earlier ones stay between those of the training split, which does without them.

    Args:
        grouped: all interactions.
        held: which items are held out, `[I]`.
    """
    lengths = np.diff(grouped.offsets)                                   # [U]
    user = np.repeat(np.arange(len(lengths)), lengths)                   # [T]
    position = np.arange(len(user)) - grouped.offsets[:-1][user]
    asked = held[grouped.items]                                          # [T]
    others_until = np.concatenate([[0], np.cumsum(~asked)])              # [T + 1], over all users
    before = others_until[:-1] - others_until[grouped.offsets[:-1]][user]                      # [T], other items
    others = np.bincount(user[~asked], minlength=len(lengths))           # [U]
    last = np.zeros(len(lengths), np.int64)
    np.maximum.at(last, user[~asked], position[~asked])
    validation = (others > 1).astype(np.int64)
    chosen = asked & (before > 0)
    test = np.bincount(user[chosen], minlength=len(lengths))
    left_out = {
        "too short for validation": int((validation == 0).sum()),
        "without a held-out item after another": int((test == 0).sum()),
    }
    train = np.where(validation > 0, last, lengths)
    return SplitLengths(train, validation, test, left_out), Examples(user[chosen], position[chosen])
