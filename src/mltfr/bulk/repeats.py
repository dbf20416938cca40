"""Users that come a second time, found without keeping everybody's id."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def repeated_hashes(hashes: npt.NDArray[np.int64]) -> set[int]:
    """Return the hashes that occur more than once; where there are none, all ids are different."""
    ordered = np.sort(hashes)
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def first_repeated(ids: Iterable[str], hashes: set[int]) -> tuple[int, str] | None:
    """Return the place and the id of the first user that came before, None if nobody did.

    Args:
        ids: all ids, in order.
        hashes: what `repeated_hashes` found; only ids with such a hash are compared.
    """
    seen: set[str] = set()
    for place, user in enumerate(ids):
        if hash(user) not in hashes:
            continue
        if user in seen:
            return place, user
        seen.add(user)
    return None
