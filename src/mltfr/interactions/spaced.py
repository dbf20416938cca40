"""Some of many, evenly spaced: what is looked at where looking at all would take too long."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def evenly_spaced(count: int, most: int) -> npt.NDArray[np.int64]:
    """Return `most` places among 0 to `count` - 1 at most, ascending and evenly spaced; two or more reach the last."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)
