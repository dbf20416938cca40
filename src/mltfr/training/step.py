"""One training step's arithmetic: from a batch to a scalar."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mltfr.losses import Loss, SampledLoss, mean_of
from mltfr.model import SequentialModel
from mltfr.objectives import Objective


class TrainingStep(nn.Module):
    """The loss of a batch: encode, gather the positions that have a target, compare with all items.

    Args:
        model: encodes.
        loss: of the positions that have a target.
        objective: what further views of the batch add; None for nothing.
        sparse: whether the gradient of the item vectors holds only the rows that the batch touches.

    Raises:
        ValueError: `sparse`, but the loss reads all item vectors.
    """

    def __init__(
        self, model: SequentialModel, loss: Loss, objective: Objective | None = None, sparse: bool = False
    ) -> None:
        super().__init__()
        if sparse and not isinstance(loss, SampledLoss):
            raise ValueError(f"{type(loss).__name__} reads all item vectors, so their gradient cannot be sparse.")
        self.model = model
        self.loss = loss
        self.objective = objective
        model.item_vectors.sparse = self.sparse = sparse

    def forward(  # [B, L], [B, T], [B, L'], [P], [P] -> []
        self,
        items: Tensor,
        targets: Tensor,
        *views: Tensor,
        wanted: Tensor | None = None,
        counted: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss over the positions that have a target, and what the objective adds to it.

        Where `wanted` (`wanted_places` of the targets) is given, nothing waits for an accelerator to answer. It may
        name places without a target, for a shape that does not depend on their number; `counted` is 0 there, else 1.
        """
        hidden = self.model.encode(items, targets.shape[1])  # [B, T, D]
        wanted = wanted_places(targets) if wanted is None else wanted
        loss = self._compare(
            hidden.flatten(0, 1).index_select(0, wanted),    # [P, D]
            targets.flatten().index_select(0, wanted),       # [P]
            counted,
        )
        if self.objective is not None and views:
            loss = loss + self.objective.term(self.model, hidden[:, -1], views)
        return loss

    def _compare(self, hidden: Tensor, targets: Tensor, counted: Tensor | None) -> Tensor:  # [P, D], [P], [P] -> []
        if self.sparse and isinstance(self.loss, SampledLoss):
            targets = targets if counted is None else targets.clamp(min=1)
            return mean_of(self.loss.by_lookup(hidden, targets, self.model.item_rows), counted)
        more = () if counted is None else (counted,)
        return self.loss(hidden, targets, self.model.item_matrix(), *more)

    def hidden_gradient(self, items: Tensor, targets: Tensor) -> Tensor:  # [B, L], [B, T] -> [B, T, D]
        """Return the gradient of the summed loss for the hidden states at the last T positions."""
        with torch.no_grad():
            hidden = self.model.encode(items, targets.shape[1])  # [B, T, D]
        wanted = targets > 0                                     # [B, T]
        with torch.enable_grad():
            hidden.requires_grad_()
            loss = self.loss(hidden[wanted], targets[wanted], self.model.item_matrix().detach())
            (gradient,) = torch.autograd.grad(loss * wanted.sum(), hidden)
        return gradient

    def linearised(self, items: Tensor, gradient: Tensor) -> Tensor:  # [B, L], [B, T, D] -> []
        """Return a scalar whose gradient for the parameters below the hidden states is that of the summed loss.

        By the chain rule `dL/dp = sum(dL/dh * dh/dp)`. No logits and no shapes that depend on values are in
        it, so that it runs under `torch.func.vmap` in little memory.
        """
        return (self.model.encode(items, gradient.shape[1]) * gradient).sum()


def wanted_places(targets: Tensor) -> Tensor:  # [B, T] -> [P]
    """Return where in the targets, read row by row, there is one: int64, ascending."""
    return targets.flatten().nonzero().squeeze(1)
