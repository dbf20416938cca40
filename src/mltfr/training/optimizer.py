"""The optimiser and the course of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from mltfr.training.adam import Adam, AdamW
from mltfr.training.config import TrainingConfig


def make_optimizer(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return Adam or AdamW over the parameters that train."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    kind = AdamW if config.optimizer == "adamw" else Adam
    return kind(trained, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


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
