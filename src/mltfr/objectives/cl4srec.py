"""CL4SRec: a contrast of augmented sequences (Xie et al., ICDE 2022, arXiv 2010.14395)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mltfr.interactions.collate import Codes
from mltfr.objectives.augment import crop, mask, reorder, trimmed
from mltfr.objectives.base import Indices, SampleSequences, register_objective
from mltfr.objectives.contrast import Contrast, ContrastConfig


class CL4SRecConfig(ContrastConfig):
    """Settings of CL4SRec."""

    name: Literal["cl4srec"] = "cl4srec"
    crop: float = Field(0.6, gt=0, le=1)
    """Share of a sequence that a crop keeps (eta)."""
    mask: float = Field(0.3, gt=0, lt=1)
    """Share of its items that a mask hides (gamma)."""
    reorder: float = Field(0.6, gt=0, le=1)
    """Share of a sequence that a reordering shuffles (beta)."""


@register_objective("cl4srec", CL4SRecConfig)
class CL4SRec(Contrast):
    """Contrast of two augmentations of a sequence: two of crop, mask and reorder, drawn for each sequence."""

    hides_items = True

    def __init__(self, config: CL4SRecConfig, items: int) -> None:
        super().__init__(config, items)
        self.config = config
        self.token = items + 1

    def draw(self, samples: SampleSequences, indices: Indices, rng: np.random.Generator) -> tuple[Codes, ...]:
        """Return two views of every sequence, made by different augmentations; a single item stays as it is."""
        items = samples.read(indices)                                              # [B, L]
        augmented = np.stack(
            [
                crop(items, self.config.crop, rng),
                mask(items, self.config.mask, self.token, rng),
                reorder(items, self.config.reorder, rng),
            ]
        )                                                                       # [3, B, L]
        rows = np.arange(len(items))
        kinds = rng.permuted(np.tile(np.arange(3), (len(items), 1)), axis=1)    # [B, 3]
        return trimmed(augmented[kinds[:, 0], rows]), trimmed(augmented[kinds[:, 1], rows])
