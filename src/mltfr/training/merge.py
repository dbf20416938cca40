"""The consensus expert's tensors: the experts merged by their Fisher information, between the rounds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mltfr.fusion import TwoRoundFusion
from mltfr.fusion.fisher import estimate_fisher, estimate_fisher_of_batches
from mltfr.losses import Loss
from mltfr.model import Prepared, SequentialModel
from mltfr.storage.progress import SILENT, Progress
from mltfr.training.batch import Batch
from mltfr.training.config import TrainingConfig
from mltfr.training.epoch import FISHER, epoch_generator, plan_epoch
from mltfr.training.samples import Samples
from mltfr.training.step import TrainingLoss

POSITIONS = 800
"""Positions, over all examples, whose per-example gradients are computed at once; bounds the estimate's memory."""
SAMPLES_AN_EXAMPLE = 50
"""Samples that round 1 has trained on for each example of the estimate: on a CPU an example was measured to cost up to
five times a sample's share of a step, or a little more, so that the estimate takes about a tenth of round 1 or less."""
STEPS_AN_EXAMPLE = 10
"""Steps of round 1 for each example where experts correct item vectors: an example then costs about a step, since the
experts reach its loss by every item that the loss reads."""
FEWEST = 32
"""Examples that are taken however short round 1 was, whatever their share of it."""


def merge_experts(
    model: SequentialModel,
    loss: Loss,
    samples: Samples,
    config: TrainingConfig,
    seed: int,
    epochs: int,
    progress: Progress = SILENT,
) -> dict[str, Tensor]:
    """Return the consensus expert's tensors, from the experts at their best epoch; dropout and noise are off.

    The Fisher information is that of the training loss alone: a contrast belongs to a batch, not to an example.

    Args:
        model: of round 1.
        loss: training loss.
        samples: the training samples.
        config: settings.
        seed: seed of the choice of examples.
        epochs: epochs that round 1 has trained.
        progress: receives the number of examples done.

    Raises:
        ValueError: the model's fusion has no experts.
    """
    fusion = model.fusion
    if not isinstance(fusion, TwoRoundFusion):
        raise ValueError("The model's fusion has no experts to merge.")
    random = epoch_generator(seed, 1, 0, FISHER)
    step = TrainingLoss(model, loss).eval()
    if config.shards > 1:  # the state of torch's generator depends on the shards of this process
        torch.manual_seed(int(random.integers(2**63)))
    parameters = {f"model.fusion.{name}": value for name, value in fusion.fisher_parameters().items()}
    if fusion.fisher_estimator == "batch":  # over the training batches of one epoch, as published
        plan = plan_epoch(len(samples), samples.lengths, config.samples_of_a_batch, config.advanced.bucket, random)
    else:
        size = config.samples_of_a_batch
        cost = STEPS_AN_EXAMPLE * size if model.corrects_items else SAMPLES_AN_EXAMPLE
        count = min(config.advanced.fisher_examples, max(FEWEST, epochs * len(samples) // cost), len(samples))
        chosen = random.choice(len(samples), count, replace=False)
        chosen = chosen[np.argsort(samples.lengths(chosen), kind="stable")]
        plan = np.array_split(chosen, count if model.corrects_items else -(-count // size))
    device = model.item_embedding.weight.device

    def batches() -> Iterator[Batch]:
        progress.start("Fisher information", sum(map(len, plan)))
        for chunk in plan:
            yield samples.batch(chunk, random).to(device)
            progress.advance(len(chunk))

    if fusion.fisher_estimator == "per-example" and model.corrects_items:
        examples = ((batch.items, batch.targets) for batch in batches())
        fisher = estimate_fisher_of_batches(step, parameters, lambda *one: summed_loss(step, *one), examples)
    elif fusion.fisher_estimator == "batch":
        pairs = ((batch.items, batch.targets) for batch in batches())
        fisher = estimate_fisher_of_batches(step, parameters, lambda *pair: step(Batch(*pair)), pairs)
    else:
        chunk = max(1, min(32, POSITIONS // model.backbone.max_length))
        pairs = ((batch.items, hidden_gradient(step, batch)) for batch in batches())
        with torch.no_grad():  # vmap's gradients are taken all the same, but nothing else keeps a graph
            vectors = Prepared(model.item_vectors(whole=True))  # no expert is in them
            one = partial(linearised_loss, model, vectors)
            fisher = estimate_fisher(step, parameters, one, pairs, chunk)
    return fusion.merge_experts({name.removeprefix("model.fusion."): value for name, value in fisher.items()})


def summed_loss(step: TrainingLoss, items: Tensor, targets: Tensor) -> Tensor:  # [B, L], [B, T] -> []
    """Return a batch's summed loss."""
    return step(Batch(items, targets)) * (targets > 0).sum()


def hidden_gradient(step: TrainingLoss, batch: Batch) -> Tensor:  # -> [B, T, D]
    """Return the gradient of a batch's summed loss for the hidden states at the last T positions."""
    with torch.no_grad():
        hidden = step.model.encode(batch.items, batch.targets.shape[1])  # [B, T, D]
    has_target = batch.targets > 0                                       # [B, T]
    with torch.enable_grad():
        hidden.requires_grad_()
        loss = step.loss(hidden[has_target], batch.targets[has_target], step.model.scoring_matrix().detach())
        (gradient,) = torch.autograd.grad(loss * has_target.sum(), hidden)
    return gradient


def linearised_loss(
    model: SequentialModel, vectors: Prepared, items: Tensor, gradient: Tensor
) -> Tensor:  # [B, L], [B, T, D] -> []
    """Return a scalar whose gradient for the fusion's parameters is that of the summed loss.

    By the chain rule `dL/dp = sum(dL/dh * dh/dp)`. No logits and no shapes that depend on values are in
    it, so that it runs under `torch.func.vmap` in little memory.
    """
    return (model.encode(items, gradient.shape[1], vectors) * gradient).sum()
