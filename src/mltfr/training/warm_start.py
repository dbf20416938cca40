"""A warm start: training goes on from a fitted model's weights, as from a checkpoint at its best epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mltfr.prefixes import with_prefix
from mltfr.training.callbacks import Record
from mltfr.training.checkpoint import Checkpoint, TrainerState
from mltfr.training.epoch import WARM_START, epoch_generator


def grown(weights: Mapping[str, Tensor], initial: Mapping[str, Tensor], items: int) -> dict[str, Tensor]:
    """Return the weights of a model for more items: new items have their initial values, all else is as it was.

    Args:
        weights: the state of a model for `items` items.
        initial: the state of the same model for more items; these come behind the others.
        items: number of items I of the first one.
    """
    return {name: _grown(weights[name], tensor, items + 1) for name, tensor in initial.items()}


def warm_start(
    weights: Mapping[str, Tensor],
    *,
    rounds: int,
    epoch: int,
    batches: int,
    best: float,
    seed: int,
    history: Sequence[Record] = (),
) -> Checkpoint:
    """Return the checkpoint from which the last round goes on at its best epoch, with a fresh optimiser.

    An epoch that is no better on validation than these weights are does not replace them.

    Args:
        weights: the model's state.
        rounds: number of rounds.
        epoch: epoch of the last round that the weights are of.
        batches: batches of an epoch.
        best: the weights' value of the metric on validation.
        seed: random seed.
        history: the records of the epochs so far.
    """
    random = epoch_generator(seed, rounds, epoch, WARM_START)
    generator = torch.Generator().manual_seed(int(random.integers(2**63)))
    state = TrainerState(
        round=rounds, epoch=epoch, step=epoch * batches, best=best, best_epoch=epoch, history=list(history)
    )
    weights = {name: tensor.detach().cpu() for name, tensor in weights.items()}
    best_weights = {name: tensor.clone() for name, tensor in weights.items()}
    tensors = with_prefix("model", weights) | with_prefix("best", best_weights)
    return Checkpoint({**tensors, "random.cpu": generator.get_state()}, state)


def _grown(before: Tensor, initial: Tensor, rows: int) -> Tensor:
    """Return one tensor: `rows` rows of items (padding among them) as before, then new ones, then what came behind."""
    if before.shape == initial.shape:
        return before.clone()
    behind = len(before) - rows
    middle = initial[rows : len(initial) - behind].to(before)
    return torch.cat([before[:rows], middle, before[rows:]])
