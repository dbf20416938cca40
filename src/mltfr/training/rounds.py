"""All rounds of a training: the experts, their Fisher information, and the round with the consensus."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event

import numpy as np
import torch
from torch import Tensor

from mltfr.fusion import TwoRoundFusion
from mltfr.fusion.fisher import estimate_fisher, estimate_fisher_of_batches
from mltfr.interactions import Histories
from mltfr.losses import Loss
from mltfr.model import SequentialModel
from mltfr.objectives import Objective
from mltfr.prefixes import under_prefix
from mltfr.training.batches import epoch_generator, plan_epoch
from mltfr.training.checkpoint import Checkpoints
from mltfr.training.config import TrainingConfig
from mltfr.training.loop import FISHER, Round
from mltfr.training.optimizer import sparse_items
from mltfr.training.reporting import Record, Reporter
from mltfr.training.samples import Samples, make_samples
from mltfr.training.state import RoundState, Saved
from mltfr.training.step import TrainingStep
from mltfr.training.team import Team, make_team

CONSENSUS = "fusion.consensus"
POSITIONS = 800
"""Positions, over all examples, whose gradients are taken one example at a time; bounds the estimate's memory."""


@dataclass(frozen=True)
class Trained:
    """A trained model, at its best validation epoch.

    Attributes:
        model: with the best weights of the last round.
        rounds: number of rounds that were trained.
        best_epoch: epoch of the last round that scored best.
        validation: that epoch's value of the chosen metric.
        history: one record per epoch of every round.
    """

    model: SequentialModel
    rounds: int
    best_epoch: int
    validation: float
    history: list[Record]


def train(
    build: Callable[[], SequentialModel],
    loss: Loss,
    histories: Histories,
    validate: Callable[[SequentialModel], dict[str, float]],
    config: TrainingConfig,
    *,
    seed: int,
    team: Team | None = None,
    objective: Objective | None = None,
    checkpoints: Checkpoints | None = None,
    saved: Saved | None = None,
    fingerprint: str = "",
    reporter: Reporter | None = None,
    stop: Event | None = None,
) -> Trained:
    """Train a model through all of its fusion's rounds.

    Round 1 trains the experts and ends at its best validation epoch. Where the fusion has two rounds, the
    experts are then merged by their Fisher information, and round 2 trains with the frozen consensus expert
    added (MLTFR, arXiv 2604.18200, 2026; docs/concepts.md has the equations).

    Args:
        build: returns the model with its initial values, the same at every call.
        loss: training loss.
        histories: the training part, and nothing else.
        validate: returns the validation metrics of a model.
        config: settings.
        seed: seed of order, masks, views, dropout and noise.
        team: the processes that train together; what the environment says if not given.
        objective: what is added to the loss; None for nothing.
        checkpoints: where the state is kept; None keeps none, as in all processes but the first.
        saved: what `load_saved` returned, to continue from there; None begins anew. The first process's counts.
        fingerprint: of data, settings and versions, written into every checkpoint.
        reporter: hears of the progress.
        stop: when set, training writes a checkpoint and raises.

    Raises:
        Interrupted: `stop` was set.
        ConfigError: settings that do not fit together.
    """
    reporter = reporter or Reporter()
    team = team or make_team(config)
    model = build().to(team.device)
    loss = loss.to(team.device)
    samples = make_samples(config, model, histories)
    sparse = sparse_items(config, loss, model.items)
    rounds = model.fusion.rounds if isinstance(model.fusion, TwoRoundFusion) else 1
    state = team.from_first(saved.state if saved is not None else RoundState())
    tensors = team.tensors_from_first(saved.tensors if saved is not None else None)
    begun = time.monotonic() - state.elapsed
    while True:
        if tensors is not None and state.round > 1:  # resumed
            add_consensus(model, under_prefix("model", tensors))
        number = state.round
        one_round = Round(
            team,
            TrainingStep(model, loss, objective, sparse),
            samples,
            lambda model=model: validate(model),  # type: ignore[misc]
            config,
            epochs=min(config.first_round_epochs, config.epochs) if number < rounds else config.epochs,
            state=state,
            seed=seed,
            rounds=rounds,
            checkpoints=checkpoints,
            fingerprint=fingerprint,
            reporter=reporter,
            stop=stop,
        )
        if tensors is not None:
            one_round.restore(tensors)
        best = one_round.run()
        if number == rounds:
            break
        del one_round
        gc.collect()  # its optimiser: a round refers to itself
        consensus = _merge(model, loss, samples, config, seed, reporter)
        consensus = team.tensors_from_first(consensus) or {}
        model = build().to(team.device)
        if config.second_round == "warm":
            model.load_state_dict(best)
        if isinstance(model.fusion, TwoRoundFusion):
            model.fusion.add_consensus(consensus)
        elapsed = time.monotonic() - begun
        state, tensors = RoundState(round=number + 1, elapsed=elapsed, history=state.history), None
    model.item_vectors.sparse = False
    return Trained(model, rounds, state.best_epoch, float(state.best or 0.0), state.history)


def add_consensus(model: SequentialModel, state: Mapping[str, Tensor]) -> None:
    """Give a model the consensus expert that a state dict of round 2 holds, so that it can be loaded."""
    tensors = under_prefix(CONSENSUS, state)
    if tensors and isinstance(model.fusion, TwoRoundFusion):
        model.fusion.add_consensus(tensors)


def _merge(
    model: SequentialModel,
    loss: Loss,
    samples: Samples,
    config: TrainingConfig,
    seed: int,
    reporter: Reporter,
) -> dict[str, Tensor]:
    """Return the consensus expert's tensors, from the experts at their best epoch; dropout and noise are off.

    The Fisher information is that of the training loss alone: a contrast belongs to a batch, not to an example.
    """
    fusion = model.fusion
    if not isinstance(fusion, TwoRoundFusion):
        raise ValueError("The model's fusion has no experts to merge.")
    reporter.message("estimating the experts' Fisher information")
    random = epoch_generator(seed, 1, 0, FISHER)
    step = TrainingStep(model, loss).eval()
    if config.shards > 1:  # whatever the processes have drawn before
        torch.manual_seed(int(random.integers(2**63)))
    parameters = {f"model.fusion.{name}": value for name, value in fusion.fisher_parameters().items()}
    if fusion.fisher_estimator == "batch":  # over the training batches of one epoch, as published
        plan = plan_epoch(samples.lengths, config.batch_size, config.bucket, random)
    else:
        count = min(config.fisher_examples, len(samples))
        chosen = random.choice(len(samples), count, replace=False)
        chosen = chosen[np.argsort(samples.lengths[chosen], kind="stable")]
        plan = np.array_split(chosen, -(-count // config.batch_size))
    device = model.item_vectors.weight.device
    batches = (samples.batch(part, random).to(device) for part in plan)
    if fusion.fisher_estimator == "batch":
        fisher = estimate_fisher_of_batches(step, parameters, step, ((b.items, b.targets) for b in batches))
    else:
        chunk = max(1, min(32, POSITIONS // model.backbone.max_length))
        pairs = ((b.items, step.hidden_gradient(b.items, b.targets)) for b in batches)
        with torch.no_grad():  # vmap's gradients are taken all the same, but nothing else keeps a graph
            fisher = estimate_fisher(step, parameters, step.linearised, pairs, chunk)
    return fusion.merge_experts({name.removeprefix("model.fusion."): value for name, value in fisher.items()})
