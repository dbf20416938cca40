"""One optimisation step: loss, backward, clip, update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from mltfr.kernels.products import products_of_width
from mltfr.losses import Loss, SampledLoss, weighted_mean
from mltfr.model import Prepared, SequentialModel
from mltfr.objectives import Objective
from mltfr.training.batch import Batch, index_targets
from mltfr.training.config import TrainingConfig
from mltfr.training.device import autocast
from mltfr.training.optim import LazyAdam, clip_sparse_grad_norm_, make_optimizer
from mltfr.training.teacher import Teacher


class TrainingLoss(nn.Module):
    """The loss of a batch: encode, gather the positions with a target, score items, add the training objective.

    Args:
        model: encodes.
        loss: of the positions that have a target.
        objective: what further views of the batch add; None for nothing.
        sparse: whether the gradient of the item embedding holds only the rows that the batch touches.
        teacher: what is learned from beside the targets; None for nothing.

    Attributes:
        by_lookup: whether the loss looks item vectors up, instead of reading them all.

    Raises:
        ValueError: `sparse`, but the loss reads the embeddings of all items.
    """

    def __init__(
        self,
        model: SequentialModel,
        loss: Loss,
        objective: Objective | None = None,
        sparse: bool = False,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        if sparse and not isinstance(loss, SampledLoss):
            raise ValueError(f"{type(loss).__name__} reads all item vectors, so their gradient cannot be sparse.")
        self.model = model
        self.loss = loss
        self.objective = objective
        self.teacher = teacher
        model.item_embedding.sparse = self.sparse = sparse
        reads_few = isinstance(loss, SampledLoss) and teacher is None
        self.by_lookup = sparse or (reads_few and model.corrects_items)

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean loss over the positions with a target, and what the objective adds to it, a scalar.

        With `batch.target_index`, no shape depends on values, which avoids a device synchronisation.
        """
        prepared = Prepared(self.model.item_vectors(whole=not self.by_lookup))
        hidden = self.model.encode(batch.items, batch.targets.shape[1], prepared)                # [B, T, D]
        index = index_targets(batch.targets) if batch.target_index is None else batch.target_index
        last = hidden.flatten(0, 1).index_select(0, index)                                       # [P, D]
        targets = batch.targets.flatten().index_select(0, index)                                 # [P]
        loss = self._mean_loss(last, targets, batch.target_weight, prepared)
        if self.teacher is not None and batch.teacher is not None:
            vectors = self.model.scoring_matrix(prepared)                                        # [I + 1, D]
            loss = self.teacher.loss(loss, last, vectors, *batch.teacher, batch.target_weight)
        if self.objective is not None and batch.views:
            loss = loss + self.objective.term(self.model, hidden[:, -1], batch.views, prepared)
        return loss

    def _mean_loss(self, hidden: Tensor, targets: Tensor, weight: Tensor | None, prepared: Prepared) -> Tensor:
        """Return the mean loss of hidden states `[P, D]` with targets `[P]`, weighted by `weight` `[P]`."""
        if self.by_lookup and isinstance(self.loss, SampledLoss):
            targets = targets if weight is None else targets.clamp(min=1)
            lookup = partial(self.model.score_weights, prepared=prepared)
            return weighted_mean(self.loss.by_lookup(hidden, targets, lookup), weight)
        weights = () if weight is None else (weight,)
        return self.loss(hidden, targets, self.model.scoring_matrix(prepared), *weights)


class OptimizationStep:
    """One optimisation step on one batch. The model and the loss are put on the device.

    Args:
        loss: the model with its loss and objective.
        config: settings.
        device: where the step runs.
        capturable: whether CUDA graphs capture the step.
    """

    def __init__(
        self, loss: TrainingLoss, config: TrainingConfig, device: torch.device, capturable: bool = False
    ) -> None:
        self.loss, self.device = loss.to(device), device
        self.precision, self.max_norm = config.precision, config.gradient_clip
        self.optimizer = make_optimizer(config, loss, loss.sparse, capturable)
        self.lazy = self.optimizer if isinstance(self.optimizer, LazyAdam) else None
        if self.lazy is not None:
            self.lazy.track(loss.model.item_embedding)
        inner = max((min(each.shape) for each in loss.parameters() if each.dim() == 2), default=0)
        self._inner_width = inner if device.type == "cpu" else 0

    def __call__(self, batch: Batch) -> Tensor:
        """Train on a batch on the device, and return its mean loss, a scalar."""
        return self.with_gradient(lambda: self.gradient(batch))

    def with_gradient(self, gradient: Callable[[], Tensor]) -> Tensor:
        """Do a step by a gradient that a function adds to the parameters', and return the mean loss that it returns."""
        self.optimizer.zero_grad()  # first: frees the memory of the last gradients before the scores need some
        loss = gradient()
        self.update()
        return loss

    def gradient(self, batch: Batch, weight: int = 1) -> Tensor:
        """Add the gradient of `weight` times the mean loss of a batch on the device, and return the mean loss."""
        with products_of_width(self._inner_width):
            with autocast(self.device, self.precision):
                loss = self.loss(batch)
            loss = loss.to(torch.get_default_dtype())
            torch.autograd.backward(loss * weight)
        return loss.detach()

    def update(self) -> None:
        """Clip the gradients to the largest norm, and update the parameters."""
        if self.max_norm and self.lazy is not None:
            clip_sparse_grad_norm_(self.loss.parameters(), self.max_norm)
        elif self.max_norm:
            nn.utils.clip_grad_norm_(self.loss.parameters(), self.max_norm)
        self.optimizer.step()

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the steps that follow; a group of parameters takes it times its factor."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * group["factor"])
            else:
                group["lr"] = rate * group["factor"]

    def apply_pending(self) -> None:
        """Apply pending updates of the item embedding, so that the whole of it can be read."""
        if self.lazy is not None:
            self.lazy.apply_all_pending()

    def detach(self) -> None:
        """Apply pending updates and leave the model as it was given, with training over."""
        if self.lazy is not None:
            self.lazy.detach()
