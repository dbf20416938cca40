"""No objective but the next item: the training loss alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor

from mltfr.interactions.collate import Codes
from mltfr.model import Prepared, SequentialModel
from mltfr.objectives.base import Indices, Objective, ObjectiveConfig, SampleSequences, register_objective


class NoObjectiveConfig(ObjectiveConfig):
    """The plain loss has nothing to set here."""

    name: Literal["none"] = "none"


@register_objective("none", NoObjectiveConfig)
class NoObjective(Objective):
    """The next item alone: nothing is added to the training loss."""

    def __init__(self, config: NoObjectiveConfig, items: int) -> None:
        super().__init__(config, items)

    def views(self, samples: SampleSequences, indices: Indices, rng: np.random.Generator) -> tuple[Codes, ...]:
        """Return none."""
        return ()

    def term(
        self, model: SequentialModel, last: Tensor, views: tuple[Tensor, ...], prepared: Prepared | None = None
    ) -> Tensor:
        """Return zero."""
        return last.new_zeros(())
