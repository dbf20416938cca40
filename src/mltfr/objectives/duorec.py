"""DuoRec: a contrast without changed sequences (Qiu et al., WSDM 2022, arXiv 2110.05730)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mltfr.interactions.collate import Codes
from mltfr.objectives.base import Indices, SampleSequences, register_objective
from mltfr.objectives.contrast import Contrast, ContrastConfig


class DuoRecConfig(ContrastConfig):
    """Settings of DuoRec."""

    name: Literal["duorec"] = "duorec"
    positives: Literal["both", "dropout", "same-target"] = "both"
    """What is drawn together: the sequence under another dropout with one that has the same target (both, as
    published), or the sequence itself with one of the two (dropout, same-target)."""


@register_objective("duorec", DuoRecConfig)
class DuoRec(Contrast):
    """Contrast of a sequence under another dropout with a sequence that the same item follows.

    Sequences of the batch that happen to have the same target stay among the negatives, as in the published code.
    """

    def __init__(self, config: DuoRecConfig, items: int) -> None:
        super().__init__(config, items)
        self.positives = config.positives

    def draw(self, samples: SampleSequences, indices: Indices, rng: np.random.Generator) -> tuple[Codes, ...]:
        """Return the sequence itself, to be encoded under another dropout, or one with its target, or both."""
        views = []
        if self.positives != "same-target":
            views.append(samples.read(indices))
        if self.positives != "dropout":
            views.append(samples.read(samples.same_target(indices, rng)))
        return tuple(views)
