"""How much memory a step keeps between its forward and its backward pass, found on a few rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from mltfr.losses import Loss, SampledLoss
from mltfr.training.samples import Batch
from mltfr.training.step import TrainingStep

FEW = (2, 4)
"""Rows of the two batches between which memory is taken to grow evenly."""


def saved_bytes(compute: Callable[[], Tensor], parameters: set[int]) -> int:
    """Return the bytes that autograd keeps for a backward pass, each storage counted once.

    Args:
        compute: the forward pass.
        parameters: addresses of storages that exist anyway.
    """
    kept: dict[int, Tensor] = {}                             # holding them keeps addresses apart

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in parameters:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        compute()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def encoder_bytes(step: TrainingStep, batch: Batch, rows: int) -> int:
    """Return the bytes that encoding a batch of `rows` samples keeps, the objective's views with it.

    It is linear in the rows (attention weights too: one matrix a row), so two small batches say it.

    Args:
        step: in training mode, with any item vectors.
        batch: at least `FEW[1]` rows, as long as the batches that are asked about.
        rows: samples of the batch that is asked about.
    """
    own = _storages(step)

    def few(count: int) -> int:
        items, targets = batch.items[:count], batch.targets[:count]
        views = tuple(view[:count] for view in batch.views)

        def forward() -> Tensor:
            hidden = step.model.encode(items, targets.shape[1])      # [count, T, D]
            if step.objective is None or not views:
                return hidden
            return hidden.sum() + step.objective.term(step.model, hidden[:, -1], views)

        return saved_bytes(forward, own)

    return _extended(few, rows)


def loss_bytes(loss: Loss, positions: int, items: int, width: int) -> int:
    """Return the bytes that a loss takes for `positions` targets, gradients of item vectors not counted.

    A loss that looks items up is measured on a few positions; another holds as many scores as it says.
    """
    if not isinstance(loss, SampledLoss):
        return 4 * loss.scores_held(positions, items)
    vectors = torch.zeros(3, width, requires_grad=True)

    def few(count: int) -> int:
        hidden = torch.zeros(count, width, requires_grad=True)
        targets = torch.ones(count, dtype=torch.int64)
        return saved_bytes(
            lambda: loss.by_lookup(hidden, targets, lambda codes: vectors[codes.clamp_max(2)]),
            {vectors.untyped_storage().data_ptr()},
        )

    return 2 * _extended(few, positions)                     # what backward makes of them is as large


def _extended(few: Callable[[int], int], rows: int) -> int:
    low, high = (few(count) for count in FEW)
    return max(0, low + (high - low) * (rows - FEW[0]) // (FEW[1] - FEW[0]))


def _storages(step: TrainingStep) -> set[int]:
    tensors = [*step.parameters(), *step.buffers()]
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}
