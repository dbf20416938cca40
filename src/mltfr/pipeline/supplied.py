"""The item vectors that a user supplies, where the fusion reads some."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.fusion.adapter import AdapterConfig
from mltfr.interactions import Vocabulary
from mltfr.interactions.item_vectors import ItemVectors, read_item_vectors
from mltfr.pipeline.config import RunConfig
from mltfr.training import Reporter


def supplied_vectors(config: RunConfig, vocabulary: Vocabulary, reporter: Reporter) -> ItemVectors | None:
    """Return the vectors of the items in the file that the settings name; None if the fusion reads none.

    Raises:
        DataError: the file is not usable, or an item has no vector in it.
    """
    if not isinstance(config.fusion, AdapterConfig):
        return None
    found = read_item_vectors(Path(config.fusion.vectors), vocabulary, config.fusion.missing)
    items = len(vocabulary)
    reporter.message(
        f"item vectors of {found.source}: {items - len(found.missing):,} of {items:,} items, width "
        f"{found.vectors.shape[1]}"
    )
    return found


def placeholder_vectors(facts: Mapping[str, Any], items: int) -> npt.NDArray[np.float32] | None:
    """Return zeros of the shape that a run was fitted with; the real ones are in its weights.

    Args:
        facts: its manifest.
        items: number of items I.
    """
    width = facts["item_vectors"]["width"] if "item_vectors" in facts else 0
    return np.zeros((items + 1, width), np.float32) if width else None
