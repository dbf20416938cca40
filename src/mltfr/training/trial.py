"""How long a training step takes here, by doing a few with a model that is thrown away."""

from __future__ import annotations

import time

import numpy as np
import torch

from mltfr.training.batches import plan_epoch
from mltfr.training.config import TrainingConfig
from mltfr.training.fabric import Fabric
from mltfr.training.samples import Samples, Views
from mltfr.training.step import TrainingStep
from mltfr.training.update import Update

STEPS = 6
"""Steps that are timed, after they have been done before: memory is slow when it is new."""


def seconds_per_step(step: TrainingStep, samples: Samples, config: TrainingConfig, fabric: Fabric) -> float:
    """Return the mean seconds of a step: batch, forward, backward, clip, update. It changes the model.

    Args:
        step: a model to be thrown away, with its loss and objective.
        samples: the training samples; random batches of an epoch are taken.
        config: settings.
        fabric: device and precision.
    """
    random = np.random.default_rng(0)
    some = random.permutation(len(samples))[: STEPS * config.batch_size]
    plan = [some[part] for part in plan_epoch(samples.lengths[some], config.batch_size, STEPS, random)]
    views = Views(step.objective, samples)
    update, device = Update(step.train(), config, fabric), fabric.device
    fusion = step.model.fusion
    if fusion is not None:
        fusion.set_progress(0.0)
        if fusion.needs_tables:
            with torch.no_grad():
                fusion.refresh([step.model.fusion_inputs(samples.batch(plan[0], random).items.to(device))])
    seconds = 0.0
    for _ in range(2 if update.graphs is None else 3):  # a shape's second step is recorded, the third one replayed
        _wait(device)
        begun = time.perf_counter()
        for indices in plan:
            update(views.add(samples.batch(indices, random), indices, random))
        _wait(device)
        seconds = time.perf_counter() - begun
    return seconds / len(plan)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
