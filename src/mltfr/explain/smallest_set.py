"""The smallest set of history items whose removal drops an item from the list."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mltfr.interactions.collate import Codes

LARGEST, AMONG = 3, 4
"""Items of a set, at most; and how many items, of the largest contributions, make sets of two and more."""

Set = tuple[int, ...]


def candidate_sets(order: Codes) -> list[Set]:
    """Return the sets of two and more that are tried: all of at most `LARGEST` of the `AMONG` first items.

    Finding the smallest set of all is NP-complete (GECE, arXiv 2508.03606), so larger sets are looked for among the
    items that carry most; single items are all tried.

    Args:
        order: codes, the largest contribution first.
    """
    first = order[:AMONG].tolist()
    return [each for size in range(2, LARGEST + 1) for each in combinations(first, size) if size <= len(order)]


def smallest_set(tried: Mapping[Set, tuple[float, int]], k: int) -> Set | None:
    """Return the smallest of the sets that drop the item from the first k, of equal ones that with the lowest score.

    Args:
        tried: score and rank without each set.
        k: length of the list.
    """
    dropping = [each for each, (_, rank) in tried.items() if rank > k and len(each) <= LARGEST]
    return min(dropping, key=lambda each: (len(each), tried[each][0]), default=None)


def singles(items: Codes, scores: npt.NDArray[np.float32], ranks: Codes) -> dict[Set, tuple[float, int]]:
    """Return score and rank without every single item, `[N]` each, by the set that it is."""
    rows = zip(items.tolist(), scores.tolist(), ranks.tolist(), strict=True)
    return {(code,): (value, rank) for code, value, rank in rows}
