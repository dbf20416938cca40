"""How large the vectors of names are, item by item."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mltfr.names.config import NamesConfig


def item_scales(config: NamesConfig, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:  # [I + 1] -> [I + 1]
    """Return the factor on the vector of every item's name: `scale / (1 + n / scale_half)`.

    The more often an item occurs, the better its interactions say what it is, and the less its name does.

    Args:
        config: settings.
        counts: training interactions n of every item code.
    """
    if config.scale_half is None:
        return np.full(len(counts), config.scale, np.float32)
    return (config.scale / (1 + counts / config.scale_half)).astype(np.float32)
