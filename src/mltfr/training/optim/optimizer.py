"""The optimiser of a training, and its learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from mltfr.errors import ConfigError
from mltfr.losses import Loss, SampledLoss
from mltfr.training.config import TrainingConfig
from mltfr.training.optim.adam import Adam, AdamW
from mltfr.training.optim.groups import parameter_groups
from mltfr.training.optim.lazy_adam import LazyAdam, updates_fade

SPARSE_FROM = 100_000
"""Items from which `item_updates = "auto"` is sparse: below, a dense step costs as much (measured)."""


def uses_sparse_updates(config: TrainingConfig, loss: Loss, items: int, taught: bool = False) -> bool:
    """Return whether the item embedding has sparse gradients, and `LazyAdam` updates it.

    Args:
        config: settings.
        loss: the training loss.
        items: number of items I.
        taught: whether a teacher's probabilities are learned, by a softmax over all items.

    Raises:
        ConfigError: sparse updates are set, and loss, teacher or weight decay reach every item's embedding, or what is
            left of a row's momentum does not fade.
    """
    if config.advanced.item_updates == "dense":
        return False
    sampled, decays, fades = isinstance(loss, SampledLoss), config.weight_decay > 0, updates_fade(*config.betas)
    if config.advanced.item_updates == "auto":
        return sampled and not decays and not taught and fades and items >= SPARSE_FROM
    if not sampled:
        raise ConfigError(
            f"training.advanced.item_updates = 'sparse' needs a loss with negatives: {type(loss).__name__} moves every "
            "item vector in every step. Set loss.name = 'sampled_softmax', or training.advanced.item_updates = 'auto'."
        )
    if taught:
        raise ConfigError(
            "training.advanced.item_updates = 'sparse' leaves item vectors alone until they are read, and a teacher "
            "moves them all. Leave out the teacher, or set training.advanced.item_updates = 'auto'."
        )
    if decays:
        raise ConfigError(
            f"training.advanced.item_updates = 'sparse' leaves item vectors alone until they are read, and "
            f"training.weight_decay ({config.weight_decay:g}) moves them all. Set it to 0, "
            "or training.advanced.item_updates = 'auto'."
        )
    if not fades:
        raise ConfigError(
            "training.advanced.item_updates = 'sparse' needs updates of a resting row that grow smaller, so the square "
            f"of beta1 below beta2; training.betas is {list(config.betas)}. Raise the second one, or set "
            "training.advanced.item_updates = 'dense'."
        )
    return True


def make_optimizer(
    config: TrainingConfig, module: nn.Module, sparse: bool = False, capturable: bool = False
) -> torch.optim.Optimizer:
    """Return Adam or AdamW over the parameters that train; `LazyAdam` where the item embedding has sparse gradients.

    Its groups hold the parameters by the factor of their learning rate, as `"factor"`; the item embedding's is 1, and
    in the first group.

    Args:
        config: settings.
        module: the model, on its device.
        sparse: whether the item embedding has sparse gradients.
        capturable: whether CUDA graphs capture its steps, which needs the learning rate as a tensor.
    """
    groups: list[dict[str, Any]] = []
    for factor, parameters in parameter_groups(module).items():
        rate = config.learning_rate * factor
        lr = torch.tensor(rate, device=parameters[0].device) if capturable else rate
        groups.append({"params": parameters, "lr": lr, "factor": factor})
    if sparse:  # weight decay is refused above, and without it AdamW is Adam
        return LazyAdam(groups, betas=config.betas, fused=True)
    kind = AdamW if config.optimizer == "adamw" else Adam
    decay = config.weight_decay
    return kind(groups, betas=config.betas, weight_decay=decay, fused=True, capturable=capturable)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step, of parameters whose factor is 1.

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
