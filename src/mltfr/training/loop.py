"""One round of training: epochs, validation, the best weights, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from threading import Event

import numpy as np
import torch
from torch import Tensor

from mltfr.errors import ConfigError
from mltfr.interactions.collate import Codes
from mltfr.objectives.base import Indices
from mltfr.prefixes import under_prefix, with_prefix
from mltfr.training.asking import asking_codes
from mltfr.training.batch import Batch
from mltfr.training.callbacks import Callback, Record
from mltfr.training.checkpoint import (
    Checkpoints,
    TrainerState,
    copied,
    load_optimizer,
    load_random,
    optimizer_tensors,
    random_tensors,
)
from mltfr.training.config import TrainingConfig
from mltfr.training.cuda_graphs import CapturedStep, can_capture
from mltfr.training.device import sum_dtype
from mltfr.training.distributed import ProcessGroup, ShardedGradient
from mltfr.training.epoch import BATCH, ORDER, REFRESH, epoch_generator, plan_epoch
from mltfr.training.interrupts import Interrupted
from mltfr.training.optim import learning_rate
from mltfr.training.samples import Samples, make_batch
from mltfr.training.step import OptimizationStep, TrainingLoss

KEPT = "kept"
"""Prefix of the tensors that a checkpoint holds of the round before."""
DIAGNOSED_STEPS = 64
"""Of so many steps one is not replayed as a CUDA graph, so that it adds to the fusion's diagnostics."""


class Round:
    """Trains one model until validation no longer improves.

    Args:
        group: the processes that train together; all of them run the same steps.
        loss: the model with its loss and objective.
        samples: the training samples.
        validate: returns the validation metrics of the model as it is.
        config: settings.
        epochs: maximum number of epochs of this round.
        state: where to begin; a fresh one unless a checkpoint is resumed.
        seed: seed of order, masks and dropout.
        rounds: total number of rounds, for the callback.
        checkpoints: where checkpoints are saved; None saves none.
        unseen: codes `[U, L]` of histories from which validation predicts, on which the fusion is diagnosed.
        fingerprint: of data and settings, written into the checkpoint.
        callback: called on progress.
        stop: when set, the round saves a checkpoint and raises.
        enough: when set, the epoch is cut short, and is the last one; none begins where one is kept already.
        ends: epoch after which the round ends with the weights of that moment, where nothing is held out to choose by;
            None where validation chooses.
        kept: best weights of the round before, which every checkpoint holds too; empty where they are not kept.
    """

    def __init__(
        self,
        group: ProcessGroup,
        loss: TrainingLoss,
        samples: Samples,
        validate: Callable[[], dict[str, float]],
        config: TrainingConfig,
        *,
        epochs: int,
        state: TrainerState,
        seed: int,
        rounds: int = 1,
        checkpoints: Checkpoints | None = None,
        unseen: Codes | None = None,
        fingerprint: str = "",
        callback: Callback | None = None,
        stop: Event | None = None,
        enough: Event | None = None,
        ends: int | None = None,
        kept: dict[str, Tensor] | None = None,
    ) -> None:
        self.kept, self.ends = kept or {}, ends
        self.group, self.loss, self.samples, self.validate, self.config = group, loss, samples, validate, config
        self.epochs, self.state, self.seed, self.rounds = epochs, state, seed, rounds
        self.checkpoints, self.unseen, self.fingerprint = checkpoints, unseen, fingerprint
        self.callback = callback or Callback()
        self.stop, self.enough = stop or Event(), enough or Event()
        self.cut = False
        self.model = loss.model
        capture = can_capture(loss, config, group.device)
        self.step = OptimizationStep(loss, config, group.device, capture)
        self.captured = CapturedStep(self.step) if capture else None
        self.sharded = ShardedGradient(group, loss.parameters(), self._make_batch, self.step.gradient)
        self.best_weights: dict[str, Tensor] = {}
        self.batches = -(-len(samples) // config.samples_of_a_batch)
        self.saved_at = time.monotonic()
        self.begun = self.saved_at - state.elapsed
        torch.manual_seed(int(epoch_generator(seed, state.round, 0).integers(2**63)))

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a checkpoint's tensors."""
        self.model.load_state_dict(under_prefix("model", tensors))
        self.best_weights = under_prefix("best", tensors)
        load_optimizer(self.step.optimizer, tensors)
        load_random(tensors)

    def run(self) -> dict[str, Tensor]:
        """Train to the end of the round and return the best weights.

        Raises:
            Interrupted: `stop` was set; the checkpoint is saved.
            ConfigError: the loss is no longer a number.
        """
        state = self.state
        self.group.broadcast_module(self.model)
        self.callback.on_round_start(state.round, self.rounds, self.epochs, self.batches)
        while not (state.finished or self._may_end()):
            self._epoch()
            self._validate()
            self.save()
            (stop,) = self.group.any(self.stop.is_set())
            if stop:
                raise Interrupted
        self.step.detach()
        self.model.load_state_dict(self.best_weights)
        return self.best_weights

    def _may_end(self) -> bool:
        """Return whether training is to end, and has something to end with."""
        (enough,) = self.group.any(self.enough.is_set())
        return enough and self.state.best is not None

    def save(self) -> None:
        """Save a checkpoint if checkpointing is enabled."""
        self.state.elapsed = time.monotonic() - self.begun
        if self.checkpoints is None:
            return
        tensors = with_prefix("model", self.model.state_dict()) | with_prefix("best", self.best_weights)
        tensors |= with_prefix(KEPT, self.kept)
        tensors |= optimizer_tensors(self.step.optimizer) | random_tensors()
        self.checkpoints.save(tensors, {**asdict(self.state), "fingerprint": self.fingerprint})
        self.saved_at = time.monotonic()

    def _epoch(self) -> None:
        state, config, device = self.state, self.config, self.group.device
        order = epoch_generator(self.seed, state.round, state.epoch, ORDER)
        size, bucket = config.samples_of_a_batch, config.advanced.bucket
        plan = plan_epoch(len(self.samples), self.samples.lengths, size, bucket, order)
        if state.batch == 0:
            self._refresh()
        self.loss.train()
        total = self.epochs * len(plan)
        loss_sum = torch.tensor(state.loss_sum, dtype=sum_dtype(device), device=device)
        begun = time.monotonic() - state.seconds
        self.cut = False
        while state.batch < len(plan) and not self.cut:
            self.step.set_learning_rate(learning_rate(config, state.step, total))
            if self.model.fusion is not None:
                self.model.fusion.set_progress(state.step)
            loss_sum += self._train_on(plan[state.batch])
            state.batch += 1
            state.step += 1
            self.callback.on_batch_end(state.epoch + 1, state.batch)
            due = self.group.is_main and self._is_due()
            stop, self.cut, due = self.group.any(self.stop.is_set(), self.enough.is_set(), due)
            if state.batch < len(plan) and (due or stop):
                self._update_state(loss_sum, begun)
                self.save()
                if stop:
                    raise Interrupted
        self._update_state(loss_sum, begun)

    def _train_on(self, indices: Indices) -> Tensor:
        """Do one optimisation step on samples `[B]`, and return their mean loss."""
        seeds = [self.seed, self.state.round, self.state.epoch, BATCH, self.state.batch]
        if self.group.shards > 1:
            return self.step.with_gradient(lambda: self.sharded(indices, seeds))
        batch = self._make_batch(indices, np.random.default_rng(seeds))
        if self.captured is not None:
            return self.captured(batch, replay=self.state.batch % DIAGNOSED_STEPS != 0)
        return self.step(batch.to(self.group.device))

    def _make_batch(self, indices: Indices, random: np.random.Generator) -> Batch:
        return make_batch(self.samples, self.loss.objective, indices, random, self.loss.teacher)

    def _is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.config.advanced.checkpoint_seconds

    def _update_state(self, loss_sum: Tensor, begun: float) -> None:
        """Bring the state up to date, unless training has diverged: no checkpoint may hold such weights."""
        self.state.loss_sum, self.state.seconds = loss_sum.item(), time.monotonic() - begun
        weights = all(bool(parameter.isfinite().all()) for parameter in self.model.parameters())
        if not (weights and np.isfinite(self.state.loss_sum)):
            raise ConfigError(
                f"The loss is no longer a number in epoch {self.state.epoch + 1}. Lower training.learning_rate "
                f"(now {self.config.learning_rate:g}) or set training.precision = '32'."
            )

    def _validate(self) -> None:
        state, config = self.state, self.config
        epoch, mean = state.epoch + 1, state.loss_sum / state.batch
        record: Record = {"round": state.round, "epoch": epoch, "step": state.step, "loss": mean}
        last = epoch in (self.epochs, self.ends) or self.cut
        due = last or (self.ends is None and epoch % config.advanced.validate_every == 0)
        if due:
            self.loss.eval()
            self.step.apply_pending()
        if due and self.ends is not None:
            state.best, state.best_epoch = 0.0, epoch
            self.best_weights = copied(self.model.state_dict(), self.best_weights)
        elif due:
            metrics = self.validate()
            score = metrics[config.metric]
            record["validation"] = {name: metrics[name] for name in dict.fromkeys((config.metric, "hr@10"))}
            state.stale += 1
            if state.best is None or score > state.best:
                state.best, state.best_epoch, state.stale = score, epoch, 0
                record["best"] = True
                self.best_weights = copied(self.model.state_dict(), self.best_weights)
        record["learning_rate"] = float(self.step.optimizer.param_groups[0]["lr"])
        record["seconds"] = round(state.seconds, 3)
        record |= self.model.fusion.diagnostics() if self.model.fusion is not None else {}
        state.history.append(record)
        self.callback.on_epoch_end(record)
        state.epoch, state.batch, state.loss_sum, state.seconds = epoch, 0, 0.0, 0.0
        state.finished = last or state.stale >= config.patience

    def _refresh(self) -> None:
        """Refresh the fusion's shortlists, from a random sample of those that ask: training histories, or items."""
        if self.model.fusion is None or not self.model.fusion.refresh_histories:
            return
        random = epoch_generator(self.seed, self.state.round, self.state.epoch, REFRESH)
        batches = asking_codes(self.model, self.samples, self.config.samples_of_a_batch, random)
        self.loss.eval()
        if self.group.shards > 1:
            torch.manual_seed(int(random.integers(2**63)))
        device, unseen = self.group.device, [] if self.unseen is None else [torch.from_numpy(self.unseen)]
        with torch.no_grad():
            self.model.fusion.refresh(
                (self.model.fusion_inputs(codes.to(device)) for codes in batches),
                (self.model.fusion_inputs(codes.to(device)) for codes in unseen),
            )
        self.group.broadcast_module(self.model.fusion)
