"""What a loss is that compares a target with drawn items only."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from pydantic import Field
from torch import Tensor
from torch.nn.functional import embedding

from mltfr.losses.base import Loss, LossConfig

Lookup = Callable[[Tensor], Tensor]
"""Item vectors of codes: int64 `[...]` to `[..., D]`."""


class SampledLossConfig(LossConfig):
    """Settings of a loss with negatives."""

    negatives: int = Field(1, ge=1)
    """Negatives of each position (n)."""
    exclude_target: bool = True
    """Whether a position's target is never one of its negatives. Several published codes draw from all items, so that a
    target is now and then its own negative."""


class SampledLoss(Loss):
    """A loss that looks items up, and so never reads the vector of an item that is neither target nor drawn.

    That is what lets a step over a large catalogue touch a few thousand item vectors and leave the rest alone.
    """

    @abstractmethod
    def by_lookup(self, hidden: Tensor, targets: Tensor, lookup: Lookup) -> Tensor:
        """Return the loss of every position, float `[P]`.

        Args:
            hidden: `[P, D]`.
            targets: int64 `[P]`, codes 1..I.
            lookup: item vectors of codes.
        """

    def per_position(self, hidden: Tensor, targets: Tensor, items: Tensor) -> Tensor:
        """Return the loss of every position `[P]`, with negatives drawn anew."""
        return self.by_lookup(hidden, targets, lambda codes: embedding(codes, items))
