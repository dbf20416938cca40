"""The k best of every row of scores, exactly, and in one order only.

Order: higher score first, and among equal scores the lower item code first. Score and code are packed into
one 64-bit key, which makes every key different; no sort then has a tie to break.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mltfr.errors import MltfrError

GROUP = 32
"""Items whose maximum stands for all of them in the first look."""
FEW_SCORES = 100_000
"""Scores up to which torch's own search is faster on a CPU: those of eight histories for 12,000 items."""
FEW_BEST = 64
"""Length of lists up to which it is."""
_LOW = (1 << 32) - 1

Scores = npt.NDArray[np.float32]
Columns = npt.NDArray[np.int64]


def best_keys(scores: Tensor, start: int, k: int) -> Tensor:
    """Return the keys of the k best items of every row, int64 `[B, min(k, C)]`, best first.

    Only groups with one of the k largest maxima can hold one of the k best: any item elsewhere has k items
    before it, one in each of those groups (groups hold consecutive codes, so this holds under ties as well).
    All items are looked at once to find the maxima, and `k * GROUP` of them again. On a CPU numpy does this
    looking again, with its vectorised sorts.

    Args:
        scores: float32 `[B, C]` of the codes `start` to `start + C - 1`.
        start: the first code.
        k: how many.

    Raises:
        MltfrError: a score is not a number.
    """
    batch, width = scores.shape
    groups = width // GROUP
    if scores.numel() <= FEW_SCORES and k <= FEW_BEST and k < width and scores.device.type == "cpu":
        keys = _of_few(scores, start, k)
        if keys is not None:
            return keys
    codes = torch.arange(start, start + width, device=scores.device)
    if groups <= 2 * k:
        check_numbers(scores)
        return _best(pack(scores, codes), k)
    grouped = scores[:, : groups * GROUP].view(batch, groups, GROUP)     # [B, groups, GROUP]
    maxima = grouped.amax(2)                                             # [B, groups]
    tail = scores[:, groups * GROUP :]                                   # [B, C % GROUP]
    check_numbers(maxima)
    check_numbers(tail)
    if scores.device.type == "cpu":
        found, columns = _candidates(scores.numpy(), maxima.numpy(), k)
        kept = torch.from_numpy(found)                                   # [B, W], W >= k
        return _best(pack(kept, start + torch.from_numpy(columns)), k)
    return _best(_keys_of_groups(grouped, tail, maxima, start, k), k)


def _of_few(scores: Tensor, start: int, k: int) -> Tensor | None:
    """Return the keys of the k best items by `torch.topk`; None where their order is not that of their scores alone.

    It is wherever the `k + 1` best scores differ. NaN, which comes first there, differs from nothing.
    """
    values, columns = scores.topk(k + 1)                                 # [B, k + 1]
    if not (values[:, 1:] < values[:, :-1]).all():
        return None
    return pack(values[:, :k], columns[:, :k] + start)


def _keys_of_groups(grouped: Tensor, tail: Tensor, maxima: Tensor, start: int, k: int) -> Tensor:
    """Return the keys of all items of the k groups with the largest maxima, and of the tail."""
    batch, groups, size = grouped.shape
    first = _best(pack(maxima, torch.arange(groups, device=maxima.device)), k)
    chosen = unpack(first)[0].unsqueeze(2).expand(batch, k, size)        # [B, k, GROUP]
    values = grouped.gather(1, chosen)                                   # [B, k, GROUP]
    inside = start + chosen * size + torch.arange(size, device=maxima.device)
    rest = torch.arange(start + groups * size, start + groups * size + tail.shape[1], device=maxima.device)
    return torch.cat([pack(values, inside).flatten(1), pack(tail, rest)], dim=1)


def _candidates(scores: Scores, maxima: Scores, k: int) -> tuple[Scores, Columns]:
    """Return a few items of every row, the k best among them, by numpy.

    The k-th largest maximum is a bound: k items reach it. So the k best are those items of the k groups, and of
    the tail behind the last whole group, that reach it: hardly more than k a row, as long as scores differ.

    Args:
        scores: `[B, C]`, without NaN, one row after the other in memory.
        maxima: `[B, G]` of the whole groups; G > k.
        k: how many.

    Returns:
        Scores and columns (0 to C - 1), `[B, W]` each with W >= k; a row with fewer such items is filled up with
        minus infinity at column C.
    """
    batch, width = scores.shape
    groups = maxima.shape[1]
    bound = np.partition(maxima, groups - k, axis=1)[:, groups - k, None]  # [B, 1]
    chosen = np.flatnonzero(_k_largest(maxima, bound, k)).reshape(batch, k)  # [B, k], row * G + group
    begins = (chosen - np.arange(batch)[:, None] * groups) * GROUP       # [B, k], column of a group's first item
    lines = np.lib.stride_tricks.sliding_window_view(scores.reshape(-1), GROUP)
    values = lines[(begins + np.arange(batch)[:, None] * width).ravel()] # [B * k, GROUP]
    reach = np.flatnonzero(values.reshape(batch, -1) >= bound)           # [R], row * k * GROUP + ...
    rows = reach // (k * GROUP)                                          # [R]
    columns = begins.ravel()[reach // GROUP] + reach % GROUP             # [R]
    found = values.ravel()[reach]                                        # [R]
    tail = scores[:, groups * GROUP :]                                   # [B, C % GROUP]
    rest = np.flatnonzero(tail >= bound)
    if len(rest):
        behind = rest // tail.shape[1]
        order = np.argsort(np.concatenate([rows, behind]), kind="stable")
        rows = np.concatenate([rows, behind])[order]
        columns = np.concatenate([columns, groups * GROUP + rest % tail.shape[1]])[order]
        found = np.concatenate([found, tail.ravel()[rest]])[order]
    return _padded(rows, found, columns, batch, width)


def _k_largest(maxima: Scores, bound: Scores, k: int) -> npt.NDArray[np.bool_]:
    """Mark the k largest maxima of every row, bool `[B, G]`; among equal ones the first."""
    marked = maxima >= bound                                             # [B, G]
    over = np.flatnonzero(marked.sum(1) > k)
    if len(over):
        above, equal = maxima[over] > bound[over], maxima[over] == bound[over]
        room = k - above.sum(1, keepdims=True)
        marked[over] = above | (equal & (equal.cumsum(1) <= room))
    return marked


def _padded(rows: Columns, found: Scores, columns: Columns, batch: int, width: int) -> tuple[Scores, Columns]:
    """Lay items, sorted by row, out as rows `[B, W]`; what is missing scores minus infinity at column `width`."""
    counts = np.bincount(rows, minlength=batch)                          # [B]
    column = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    scores = np.full((batch, int(counts.max(initial=0))), -np.inf, np.float32)
    codes = np.full(scores.shape, width, np.int64)
    scores[rows, column] = found
    codes[rows, column] = columns
    return scores, codes


def merge_keys(kept: Tensor | None, more: Tensor, k: int) -> Tensor:
    """Return the k best of two sets of keys, `[B, <= k]`, best first."""
    return more if kept is None else _best(torch.cat([kept, more], dim=1), k)


def pack(scores: Tensor, codes: Tensor) -> Tensor:
    """Return int64 keys that compare as (score, then lower code)."""
    bits = (scores + 0.0).view(torch.int32)                              # adding 0 makes -0.0 equal 0.0
    return (_flip(bits).long() << 32) | (_LOW - codes)


def unpack(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes (int64) and the scores (float32) of keys."""
    return _LOW - (keys & _LOW), _flip((keys >> 32).int()).view(torch.float32)


def _flip(bits: Tensor) -> Tensor:
    """Turn a float's bits into an integer that compares as the float does, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _best(keys: Tensor, k: int) -> Tensor:
    return keys.topk(min(k, keys.shape[1]), dim=1).values


def check_numbers(scores: Tensor) -> None:
    """Check that no score is NaN, which compares with nothing.

    Raises:
        MltfrError: one is.
    """
    if scores.isnan().any():
        raise MltfrError(
            "The scores are not numbers (NaN): training has diverged. Train again with a lower learning rate."
        )
