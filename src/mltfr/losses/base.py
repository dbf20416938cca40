"""What a loss is: a function of hidden states, targets and item vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mltfr.config import ComponentConfig
from mltfr.registry import Registry


class LossConfig(ComponentConfig):
    """Settings that every loss has: its name."""


class Loss(nn.Module, ABC):
    """The training loss of positions that have a target. Padding never reaches it.

    Built as `loss_class(config, counts)` with `counts` int64 `[I + 1]`, the training interactions of every
    item code (0 at padding): popularity for samplers and corrections.
    """

    @abstractmethod
    def per_position(self, hidden: Tensor, targets: Tensor, items: Tensor) -> Tensor:
        """Return the loss of every position, float `[P]`.

        Args:
            hidden: `[P, D]`.
            targets: int64 `[P]`, codes 1..I.
            items: item vectors `[I + 1, D]`; row 0 is padding and is never a candidate.
        """

    def forward(self, hidden: Tensor, targets: Tensor, items: Tensor) -> Tensor:
        """Return the mean loss, a scalar; a subclass may fuse or chunk it."""
        return self.per_position(hidden, targets, items).mean()

    def scores_held(self, positions: int, items: int) -> int:
        """Return how many scores exist at one time, for an estimate of memory before training.

        Here: all of them, twice, as `per_position` of a loss over all items has them and their gradient.
        """
        return 2 * positions * items


LOSSES: Registry[Loss, LossConfig] = Registry("loss", "mltfr.losses")
register_loss = LOSSES.register
