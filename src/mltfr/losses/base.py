"""What a loss is: a function of hidden states, targets and item vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mltfr.config import ComponentConfig
from mltfr.config.registry import Registry


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

    def forward(self, hidden: Tensor, targets: Tensor, items: Tensor, target_weight: Tensor | None = None) -> Tensor:
        """Return the mean loss, a scalar; a subclass may fuse or chunk it.

        Args:
            hidden: `[P, D]`.
            targets: int64 `[P]`, codes 1..I.
            items: item vectors `[I + 1, D]`.
            target_weight: float `[P]`, 1 for positions with a target and 0 for others, whose target is 0; all have one
                if not given. So a batch has the same shape however many of its positions have a target.
        """
        targets = targets if target_weight is None else targets.clamp(min=1)
        return weighted_mean(self.per_position(hidden, targets, items), target_weight)


def weighted_mean(losses: Tensor, target_weight: Tensor | None) -> Tensor:  # [P], [P] -> []
    """Return the mean loss, weighted by `target_weight` where it is given; 0 if all weights are."""
    return losses.mean() if target_weight is None else (losses * target_weight).sum() / target_weight.sum().clamp(min=1)


LOSSES: Registry[Loss, LossConfig] = Registry("loss", "mltfr.losses")
register_loss = LOSSES.register
