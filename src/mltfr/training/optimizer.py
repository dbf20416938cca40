"""The optimiser and the course of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.losses import Loss, SampledLoss
from mltfr.training.adam import Adam, AdamW
from mltfr.training.config import TrainingConfig
from mltfr.training.row_adam import RowAdam

SPARSE_FROM = 100_000
"""Items from which `item_updates = "auto"` is sparse; below, a dense step costs as much (measured)."""


def sparse_items(config: TrainingConfig, loss: Loss, items: int) -> bool:
    """Return whether item vectors are to have sparse gradients, and `RowAdam` to move them.

    Args:
        config: settings.
        loss: the training loss.
        items: number of items I.

    Raises:
        ConfigError: sparse updates are asked for, and the loss or the weight decay reaches every item vector.
    """
    if config.item_updates == "dense":
        return False
    sampled, decays = isinstance(loss, SampledLoss), config.weight_decay > 0
    if config.item_updates == "auto":
        return sampled and not decays and items >= SPARSE_FROM
    if not sampled:
        raise ConfigError(
            f"training.item_updates = 'sparse' needs a loss with negatives: {type(loss).__name__} moves every item "
            "vector in every step. Set loss.name = 'sampled_softmax', or training.item_updates = 'auto'."
        )
    if decays:
        raise ConfigError(
            f"training.item_updates = 'sparse' leaves item vectors alone until they are read, and "
            f"training.weight_decay ({config.weight_decay:g}) moves them all. Set it to 0, "
            "or training.item_updates = 'auto'."
        )
    return True


def make_optimizer(
    config: TrainingConfig, parameters: Iterable[nn.Parameter], sparse: bool = False, recorded: bool = False
) -> torch.optim.Optimizer:
    """Return Adam or AdamW over the parameters that train; `RowAdam` where item vectors have sparse gradients.

    Args:
        config: settings.
        parameters: of the model, on its device.
        sparse: whether item vectors have sparse gradients.
        recorded: whether its steps are to be recorded for replay, which wants the learning rate as a tensor.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if sparse:  # without weight decay, which `sparse_items` refuses, AdamW is Adam
        return RowAdam(trained, lr=config.learning_rate, fused=True)
    kind = AdamW if config.optimizer == "adamw" else Adam
    rate: float | Tensor = config.learning_rate
    if recorded:
        rate = torch.tensor(rate, device=trained[0].device)
    return kind(trained, lr=rate, weight_decay=config.weight_decay, fused=True, capturable=recorded)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step.

    Args:
        config: peak rate, warm-up and schedule.
        step: steps done so far, from 0.
        steps: steps of the whole round.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = min(1.0, (step - config.warmup_steps) / max(1, steps - config.warmup_steps))
    if config.schedule == "linear":
        return config.learning_rate * (1 - done)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
