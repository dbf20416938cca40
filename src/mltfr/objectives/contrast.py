"""What the contrastive objectives share: a weight, a temperature, and two states to compare."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from pydantic import Field
from torch import Tensor

from mltfr.interactions.collate import Codes
from mltfr.model import Prepared, SequentialModel
from mltfr.objectives.base import Indices, Objective, ObjectiveConfig, SampleSequences
from mltfr.objectives.info_nce import Similarity, info_nce


class ContrastConfig(ObjectiveConfig):
    """Settings of a contrastive objective."""

    weight: float = Field(0.1, ge=0)
    """Weight of the contrast beside the training loss (lambda); 0 leaves it out."""
    temperature: float = Field(1.0, gt=0)
    """What similarities are divided by (tau)."""
    similarity: Similarity = "dot"
    """Similarity of two sequences: the inner product of their states, or the cosine."""


class Contrast(Objective):
    """Draws the two states of a sequence together, and those of different sequences apart."""

    def __init__(self, config: ContrastConfig, items: int) -> None:
        super().__init__(config, items)
        self.weight = config.weight
        self.temperature = config.temperature
        self.similarity = config.similarity

    @abstractmethod
    def draw(self, samples: SampleSequences, indices: Indices, rng: np.random.Generator) -> tuple[Codes, ...]:
        """Return two views of every sequence, or one, which is compared with the state that the loss has used."""

    def views(self, samples: SampleSequences, indices: Indices, rng: np.random.Generator) -> tuple[Codes, ...]:
        """Return the views, or none where their weight is zero."""
        return self.draw(samples, indices, rng) if self.weight else ()

    def term(
        self, model: SequentialModel, last: Tensor, views: tuple[Tensor, ...], prepared: Prepared | None = None
    ) -> Tensor:
        """Return the weighted InfoNCE of the states that score the next item."""
        width = model.backbone.hidden  # an item bias adds a column that is the same for all
        states = [last, *(model.encode(view, 1, prepared)[:, -1] for view in views)]  # [B, D] each
        first, second = (state[:, :width] for state in states[-2:])
        return self.weight * info_nce(first, second, self.temperature, self.similarity)
