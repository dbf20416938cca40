"""From the maxima of groups to the few items that can be among the k best, in numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def best_of_groups(scores: Scores, maxima: Scores, size: int, k: int) -> tuple[Scores, Places]:
    """Return items among which the k best of every row are.

    The k-th largest maximum is a bound: k items reach it. So the k best are those items of the k groups, and of
    the tail behind the last whole group, that reach it: hardly more than k a row, as long as scores differ.

    Args:
        scores: `[B, C]`, without NaN, one row after the other in memory.
        maxima: `[B, G]` of the whole groups; G > k.
        size: items in a group.
        k: how many.

    Returns:
        Scores and places (0 to C - 1), `[B, W]` each with W >= k; a row with fewer such items is filled up with
        minus infinity at place C.
    """
    batch, width = scores.shape
    groups = maxima.shape[1]
    bound = np.partition(maxima, groups - k, axis=1)[:, groups - k, None]       # [B, 1]
    chosen = np.flatnonzero(_exactly(maxima, bound, k)).reshape(batch, k)       # [B, k], row * G + group
    begins = (chosen - np.arange(batch)[:, None] * groups) * size              # [B, k], place of a group's first
    lines = np.lib.stride_tricks.sliding_window_view(scores.reshape(-1), size)
    values = lines[(begins + np.arange(batch)[:, None] * width).ravel()]        # [B * k, size]
    reach = np.flatnonzero(values.reshape(batch, -1) >= bound)                  # [R], row * k * size + ...
    rows = reach // (k * size)                                                  # [R]
    places = begins.ravel()[reach // size] + reach % size                       # [R]
    found = values.ravel()[reach]                                               # [R]
    tail = scores[:, groups * size :]                                           # [B, C % size]
    rest = np.flatnonzero(tail >= bound)
    if len(rest):
        behind = rest // tail.shape[1]
        order = np.argsort(np.concatenate([rows, behind]), kind="stable")
        rows = np.concatenate([rows, behind])[order]
        places = np.concatenate([places, groups * size + rest % tail.shape[1]])[order]
        found = np.concatenate([found, tail.ravel()[rest]])[order]
    return _padded(rows, found, places, batch, width)


def _exactly(maxima: Scores, bound: Scores, k: int) -> Mask:
    """Mark the k largest maxima of every row, bool `[B, G]`; among equal ones the first."""
    marked = maxima >= bound                                                    # [B, G]
    over = np.flatnonzero(marked.sum(1) > k)
    if len(over):
        above, equal = maxima[over] > bound[over], maxima[over] == bound[over]
        room = k - above.sum(1, keepdims=True)
        marked[over] = above | (equal & (equal.cumsum(1) <= room))
    return marked


def _padded(rows: Places, found: Scores, places: Places, batch: int, width: int) -> tuple[Scores, Places]:
    """Lay items, sorted by row, out as rows `[B, W]`; what is missing scores minus infinity at place `width`."""
    counts = np.bincount(rows, minlength=batch)                                 # [B]
    column = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    scores = np.full((batch, int(counts.max(initial=0))), -np.inf, np.float32)
    codes = np.full(scores.shape, width, np.int64)
    scores[rows, column] = found
    codes[rows, column] = places
    return scores, codes
