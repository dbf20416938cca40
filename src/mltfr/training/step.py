"""One training step's arithmetic: from a batch to a scalar."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mltfr.losses import Loss
from mltfr.model import SequentialModel


class TrainingStep(nn.Module):
    """The loss of a batch: encode, gather the positions that have a target, compare with all items."""

    def __init__(self, model: SequentialModel, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, items: Tensor, targets: Tensor) -> Tensor:  # [B, L], [B, T] -> []
        """Return the mean loss over the positions that have a target."""
        hidden = self.model.encode(items, targets.shape[1])  # [B, T, D]
        wanted = targets > 0                                 # [B, T]
        loss: Tensor = self.loss(hidden[wanted], targets[wanted], self.model.item_matrix())
        return loss

    def dense(self, items: Tensor, targets: Tensor) -> Tensor:  # [B, L], [B, T] -> []
        """Return the summed loss of the same positions, without shapes that depend on values (for vmap)."""
        hidden = self.model.encode(items, targets.shape[1]).flatten(0, 1)  # [B * T, D]
        wanted = targets.flatten()                                         # [B * T]
        losses = self.loss.per_position(hidden, wanted.clamp(min=1), self.model.item_matrix())
        return torch.where(wanted > 0, losses, torch.zeros_like(losses)).sum()
