"""All rounds of a training: the experts, their Fisher information, and the round with the consensus."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

from torch import Tensor

from mltfr.fusion import TwoRoundFusion
from mltfr.interactions import Histories
from mltfr.interactions.collate import Codes
from mltfr.losses import Loss
from mltfr.model import SequentialModel
from mltfr.objectives import Objective
from mltfr.prefixes import under_prefix
from mltfr.training.callbacks import Callback, Callbacks, Record
from mltfr.training.checkpoint import Checkpoint, Checkpoints, TrainerState
from mltfr.training.config import TrainingConfig
from mltfr.training.device import wait_for
from mltfr.training.distributed import ProcessGroup, make_process_group
from mltfr.training.loop import KEPT, Round
from mltfr.training.merge import merge_experts
from mltfr.training.optim import uses_sparse_updates
from mltfr.training.pace import Pace, PaceMeter, faster_settings
from mltfr.training.samples import make_samples
from mltfr.training.step import TrainingLoss
from mltfr.training.teacher import Teacher

CONSENSUS = "fusion.consensus"
_KINDS = {
    "prefixes": "every prefix of a history",
    "windows": "windows of histories, the last {targets} positions with a target",
    "positions": "whole histories, every position with a target",
}


@dataclass(frozen=True)
class Trained:
    """A trained model, at its best validation epoch.

    Attributes:
        model: with the best weights of the last round.
        rounds: number of rounds that were trained.
        best_epoch: epoch of the last round that scored best.
        validation: that epoch's value of the chosen metric.
        history: one record per epoch of every round.
        pace: what the training would take at most, from its first seconds; None where it was over before.
        kept: the best weights of round 1, where there are two and `keep_rounds` is set; else empty.
    """

    model: SequentialModel
    rounds: int
    best_epoch: int
    validation: float
    history: list[Record]
    pace: Pace | None = None
    kept: Mapping[str, Tensor] = field(default_factory=dict)


def train(
    build: Callable[[], SequentialModel],
    loss: Loss,
    histories: Histories,
    validate: Callable[[SequentialModel], dict[str, float]],
    config: TrainingConfig,
    *,
    seed: int,
    group: ProcessGroup | None = None,
    objective: Objective | None = None,
    teacher: Teacher | None = None,
    checkpoints: Checkpoints | None = None,
    checkpoint: Checkpoint | None = None,
    unseen: Codes | None = None,
    fingerprint: str = "",
    callback: Callback | None = None,
    stop: Event | None = None,
    enough: Event | None = None,
    ends: Sequence[int] = (),
    rounds: int | None = None,
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
        group: the processes that train together; what the environment says if not given.
        objective: what is added to the loss; None for nothing.
        teacher: what is learned from beside the targets, in all rounds; None for nothing.
        checkpoints: where checkpoints are saved; None saves none, as in all processes but the main one.
        checkpoint: where to continue, of the main process; None begins anew.
        unseen: codes `[U, L]` of some histories from which validation predicts, on which the fusion is diagnosed.
        fingerprint: of data, settings and versions, written into every checkpoint.
        callback: called on progress.
        stop: when set, training saves a checkpoint and raises.
        enough: when set, training ends as after its last epoch, with the best weights so far; a further round is left
            out.
        ends: epoch after which each round ends, where nothing is held out to choose it by; there are as many rounds.
        rounds: number of rounds, where training goes on from a model that may have had no time for its second one; by
            default the fusion's.

    Raises:
        Interrupted: `stop` was set.
        ConfigError: settings that do not fit together.
    """
    callback = callback or Callback()
    group = group or make_process_group(config)
    model = build().to(group.device)
    loss = loss.to(group.device)
    samples = make_samples(config, model, histories, objective)
    callback.message(_samples_in_words(config, model))
    sparse = uses_sparse_updates(config, loss, model.items, taught=teacher is not None)
    of_fusion = model.fusion.rounds if isinstance(model.fusion, TwoRoundFusion) else 1
    if rounds is not None and rounds < of_fusion:
        callback.message("training goes on in round 1, since the run had no time for round 2; a new fit has both")
    rounds = len(ends) or rounds or of_fusion
    state = group.broadcast(checkpoint.state if checkpoint is not None else TrainerState())
    tensors = group.broadcast_tensors(checkpoint.tensors if checkpoint is not None else None)
    kept = under_prefix(KEPT, tensors or {})
    epochs = [*[min(config.first_round_epochs, config.epochs)] * (rounds - 1), config.epochs]
    paces: list[Pace] = []

    def tell(pace: Pace) -> None:
        paces.append(pace)
        for line in str(pace).splitlines():
            callback.message(line)

    def faster(seconds: float) -> dict[str, str]:  # a training that goes on keeps its settings
        return faster_settings(model, samples, histories, sum(epochs), seconds) if fresh else {}

    fresh = checkpoint is None
    meter = PaceMeter(epochs, tell, faster, lambda: wait_for(group.device))
    begun = time.monotonic() - state.elapsed
    while True:
        if tensors is not None and state.round > 1:  # resumed
            add_consensus(model, under_prefix("model", tensors))
        number = state.round
        one_round = Round(
            group,
            TrainingLoss(model, loss, objective, sparse, teacher),
            samples,
            lambda model=model: validate(model),  # type: ignore[misc]
            config,
            epochs=epochs[number - 1],
            state=state,
            seed=seed,
            rounds=rounds,
            checkpoints=checkpoints,
            unseen=unseen,
            fingerprint=fingerprint,
            callback=Callbacks([callback, meter]),
            stop=stop,
            enough=enough,
            ends=ends[number - 1] if ends else None,
            kept=kept,
        )
        if tensors is not None:
            one_round.restore(tensors)
        best = one_round.run()
        (over,) = group.any(enough is not None and enough.is_set())
        if number == rounds or over:
            break
        kept = best if config.keep_rounds else {}
        del one_round
        gc.collect()  # its optimiser: a round holds references to itself
        callback.message("estimating the experts' Fisher information")
        merged = merge_experts(model, loss, samples, config, seed, state.epoch, callback)
        consensus = group.broadcast_tensors(merged) or {}
        model = build().to(group.device)
        if config.second_round == "warm":
            model.load_state_dict(best)
        if isinstance(model.fusion, TwoRoundFusion):
            model.fusion.add_consensus(consensus)
        elapsed = time.monotonic() - begun
        state, tensors = TrainerState(round=number + 1, elapsed=elapsed, history=state.history), None
    model.item_embedding.sparse = False
    pace = paces[0] if paces else None
    return Trained(model, number, state.best_epoch, float(state.best or 0.0), state.history, pace, kept)


def add_consensus(model: SequentialModel, state: Mapping[str, Tensor]) -> None:
    """Add to a model the consensus expert that a state dict of round 2 holds, so that it can be loaded."""
    tensors = under_prefix(CONSENSUS, state)
    if tensors and isinstance(model.fusion, TwoRoundFusion):
        model.fusion.add_consensus(tensors)


def _samples_in_words(config: TrainingConfig, model: SequentialModel) -> str:
    """Return what a model is trained on, in a line."""
    if model.mask_token is not None:
        return "training on histories with masked items"
    kind = "prefixes" if config.samples == "auto" else config.samples
    return f"training on {_KINDS[kind].format(targets=config.advanced.window_targets)} (training.samples={kind})"
