"""What a training objective is: a term that further views of a batch add to its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mltfr.config import ComponentConfig
from mltfr.config.registry import Registry
from mltfr.interactions.collate import Codes
from mltfr.model import Prepared, SequentialModel

Indices = npt.NDArray[np.int64]
"""Numbers of training samples."""


class SampleSequences(Protocol):
    """The sequences of the training samples, each followed by the item that is its last target."""

    def read(self, indices: Indices) -> Codes:
        """Return the sequences of samples `[B]`, as right-aligned codes, int64 `[B, L]`."""

    def same_target(self, indices: Indices, rng: np.random.Generator) -> Indices:
        """Return for samples `[B]` another one each whose sequence the same item follows, int64 `[B]`."""


class ObjectiveConfig(ComponentConfig):
    """Settings that every objective has: its name."""


class Objective(ABC):
    """A term beside the training loss, computed from other views of the batch's sequences.

    It has no parameters and no state: what trains is the model, and what is random comes from the generator of
    the batch, so that a resumed run draws the same views.

    Args:
        config: settings.
        items: number of items I.
    """

    hides_items: ClassVar[bool] = False
    """Whether its views hold the code I + 1, a hidden item."""

    def __init__(self, config: ObjectiveConfig, items: int) -> None:
        self.items = items

    @abstractmethod
    def views(self, samples: SampleSequences, indices: Indices, rng: np.random.Generator) -> tuple[Codes, ...]:
        """Return the views that a step encodes besides its batch; none where nothing is to be added.

        Args:
            samples: the training samples.
            indices: which of them make the batch, int64 `[B]`.
            rng: draws what is random in the views.

        Returns:
            Right-aligned codes, int64 `[B, L']` each; `L'` may differ from view to view.
        """

    @abstractmethod
    def term(
        self, model: SequentialModel, last: Tensor, views: tuple[Tensor, ...], prepared: Prepared | None = None
    ) -> Tensor:
        """Return what is added to the loss, a scalar.

        Args:
            model: encodes the views.
            last: the batch's hidden states at the last position, `[B, D]`.
            views: what `views` returned, on the model's device; at least one.
            prepared: the item vectors of the step, with which the model encodes.
        """


OBJECTIVES: Registry[Objective, ObjectiveConfig] = Registry("objective", "mltfr.objectives")
register_objective = OBJECTIVES.register
