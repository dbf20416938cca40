"""Crop, mask, reorder: the augmentations of CL4SRec (Xie et al., ICDE 2022, arXiv 2010.14395).

Each takes right-aligned codes `[B, L]`, padding first, and changes every row on its own, by a share of its length
that is rounded down. Nothing is changed in place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mltfr.interactions.collate import Codes

Lengths = npt.NDArray[np.int64]


def crop(items: Codes, share: float, rng: np.random.Generator) -> Codes:
    """Keep a contiguous part of every row, at least one item, and move it to the end.

    Args:
        items: `[B, L]`.
        share: how much of a row is kept (eta).
        rng: draws where the part begins.
    """
    length, width = lengths(items), items.shape[1]
    kept = np.maximum(_share(length, share), 1)                       # [B]
    newer = rng.integers(0, length - kept + 1)                        # [B], items left out at the end
    source = np.arange(width) - newer[:, None]                        # [B, L]
    moved = np.take_along_axis(items, np.maximum(source, 0), axis=1)
    return np.where(np.arange(width) >= width - kept[:, None], moved, 0)


def mask(items: Codes, share: float, token: int, rng: np.random.Generator) -> Codes:
    """Replace items of every row by a token.

    Args:
        items: `[B, L]`.
        share: how much of a row is replaced (gamma); below 1, so that an item stays.
        token: code of a hidden item.
        rng: draws which items.
    """
    keys = np.where(items > 0, rng.random(items.shape), np.inf)       # [B, L], padding last
    rank = keys.argsort(axis=1).argsort(axis=1)                       # [B, L]
    return np.where(rank < _share(lengths(items), share)[:, None], token, items)


def reorder(items: Codes, share: float, rng: np.random.Generator) -> Codes:
    """Shuffle a contiguous part of every row.

    Args:
        items: `[B, L]`.
        share: how much of a row is shuffled (beta).
        rng: draws where the part begins, and its order.
    """
    length, width = lengths(items), items.shape[1]
    shuffled = _share(length, share)                                  # [B]
    first = (width - length + rng.integers(0, length - shuffled + 1))[:, None]  # [B, 1]
    place = np.broadcast_to(np.arange(width), items.shape)
    inside = (place >= first) & (place < first + shuffled[:, None])
    keys = np.where(inside, first + shuffled[:, None] * rng.random(items.shape), place)
    return np.take_along_axis(items, keys.argsort(axis=1, kind="stable"), axis=1)


def lengths(items: Codes) -> Lengths:
    """Return how many codes of every row are no padding, `[B]`."""
    return np.asarray((items > 0).sum(axis=1), np.int64)


def trimmed(items: Codes) -> Codes:
    """Leave out the columns that are padding in every row."""
    return items[:, -int(lengths(items).max()) :]


def _share(length: Lengths, share: float) -> Lengths:
    return np.asarray(np.floor(length * share), np.int64)
