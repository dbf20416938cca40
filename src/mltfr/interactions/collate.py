"""Collate histories into right-aligned batches of item codes, with little padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mltfr.interactions.histories import UNKNOWN

History = npt.NDArray[np.int32]
"""Item codes of one user, oldest first; may hold `UNKNOWN`."""
Codes = npt.NDArray[np.int64]


def known_items(histories: Sequence[History]) -> tuple[Codes, Codes]:
    """Return the row and the code of every known item, both int64 `[T]`, rows ascending, oldest first."""
    return known_of(*flat(histories))


def flat(histories: Sequence[History]) -> tuple[Codes, History]:
    """Return the lengths of histories, int64 `[B]`, and their codes one after the other, `[T]`."""
    lengths = np.fromiter((len(history) for history in histories), np.int64, len(histories))
    return lengths, np.concatenate(histories) if lengths.any() else np.zeros(0, np.int32)


def known_of(lengths: Codes, codes: History) -> tuple[Codes, Codes]:
    """Return what `known_items` does of histories that `flat` returned."""
    rows = np.repeat(np.arange(len(lengths)), lengths)                 # [T]
    wide = codes.astype(np.int64, copy=False)                          # [T]
    known = wide != UNKNOWN
    return (rows, wide) if known.all() else (rows[known], wide[known])


def has_known_item(histories: Sequence[History]) -> npt.NDArray[np.bool_]:
    """Return for every history whether at least one of its items is known from training, bool `[B]`."""
    known = np.zeros(len(histories), np.bool_)
    known[known_items(histories)[0]] = True
    return known


def pad_right_aligned(histories: Sequence[History], max_length: int) -> Codes:
    """Return int64 codes `[B, L]`: unknown items dropped, the last `max_length` of the rest kept.

    `L` is the longest history's length, at least 1, so that a history without a known item is all padding.
    """
    rows, codes = known_items(histories)                               # [T], [T]
    lengths = np.bincount(rows, minlength=len(histories))              # [B]
    from_end = np.cumsum(lengths)[rows] - 1 - np.arange(len(rows))     # [T], 0 at the last item
    width = max(1, min(max_length, int(lengths.max(initial=0))))
    kept = from_end < max_length
    batch = np.zeros((len(histories), width), np.int64)
    batch[rows[kept], width - 1 - from_end[kept]] = codes[kept]
    return batch


def length_sorted_batches(histories: Sequence[History], size: int) -> list[Codes]:
    """Return which histories go together: batches of at most `size` indices, longest histories first.

    The order is stable, so the same histories always make the same batches.
    """
    lengths = np.fromiter((len(history) for history in histories), np.int64, len(histories))
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]
