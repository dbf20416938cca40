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
from mltfr.prefixes import under_prefix, with_prefix
from mltfr.training.batches import epoch_generator, plan_epoch
from mltfr.training.checkpoint import (
    Checkpoints,
    copied,
    load_optimizer,
    load_random,
    optimizer_tensors,
    random_tensors,
)
from mltfr.training.config import TrainingConfig
from mltfr.training.interrupts import Interrupted
from mltfr.training.optimizer import learning_rate
from mltfr.training.parts import Parts
from mltfr.training.reporting import Record, Reporter
from mltfr.training.samples import Batch, Indices, Samples, Views
from mltfr.training.state import RoundState
from mltfr.training.step import TrainingStep
from mltfr.training.team import Team
from mltfr.training.update import Update

WATCHED = 64
"""Steps of which one is not replayed where others are, so that it adds to the fusion's diagnostics."""
ORDER, BATCH, REFRESH, FISHER = range(4)  # purposes of random numbers, see epoch_generator


class Round:
    """Trains one model until validation no longer improves.

    Args:
        team: device and precision, and the processes that train together; all of them go through the same steps.
        step: the model with its loss and objective.
        samples: what to train on.
        validate: returns the validation metrics of the model as it is.
        config: settings.
        epochs: most epochs of this round.
        state: where to begin; a fresh one unless a checkpoint is resumed.
        seed: seed of order, masks and dropout.
        rounds: how many rounds there are in all, for the reporter.
        checkpoints: where the state is kept; None keeps none.
        fingerprint: of data and settings, written into the checkpoint.
        reporter: hears of the progress.
        stop: when set, the round writes a checkpoint and raises.
    """

    def __init__(
        self,
        team: Team,
        step: TrainingStep,
        samples: Samples,
        validate: Callable[[], dict[str, float]],
        config: TrainingConfig,
        *,
        epochs: int,
        state: RoundState,
        seed: int,
        rounds: int = 1,
        checkpoints: Checkpoints | None = None,
        fingerprint: str = "",
        reporter: Reporter | None = None,
        stop: Event | None = None,
    ) -> None:
        self.team, self.samples, self.validate, self.config = team, samples, validate, config
        self.fabric = team.fabric
        self.epochs, self.state, self.seed, self.rounds = epochs, state, seed, rounds
        self.checkpoints, self.fingerprint = checkpoints, fingerprint
        self.reporter = reporter or Reporter()
        self.stop = stop or Event()
        self.model = step.model
        self.views = Views(step.objective, samples)
        self.update = Update(step, config, self.fabric)
        self.parts = Parts(team, step.parameters(), self._make_batch, self.update.loss)
        self.best_weights: dict[str, Tensor] = {}
        self.batches = -(-len(samples) // config.batch_size)
        self.saved_at = time.monotonic()
        self.begun = self.saved_at - state.elapsed
        torch.manual_seed(int(epoch_generator(seed, state.round, 0).integers(2**63)))

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a checkpoint's tensors."""
        self.model.load_state_dict(under_prefix("model", tensors))
        self.best_weights = under_prefix("best", tensors)
        load_optimizer(self.update.optimizer, tensors)
        load_random(tensors)

    def run(self) -> dict[str, Tensor]:
        """Train to the end of the round and return the best weights.

        Raises:
            Interrupted: `stop` was set; the checkpoint is written.
            ConfigError: the loss is no longer a number.
        """
        state = self.state
        self.team.equalise(self.model)
        self.reporter.round_started(state.round, self.rounds, self.epochs, self.batches)
        while not state.finished:
            self._epoch()
            self._validate()
            self.save()
            self._stop_if_asked()
        if self.update.rows is not None:
            self.update.rows.finish()
        self.model.load_state_dict(self.best_weights)
        return self.best_weights

    def save(self) -> None:
        """Write a checkpoint, if there is a place for it."""
        self.state.elapsed = time.monotonic() - self.begun
        if self.checkpoints is None:
            return
        tensors = with_prefix("model", self.model.state_dict()) | with_prefix("best", self.best_weights)
        tensors |= optimizer_tensors(self.update.optimizer) | random_tensors()
        self.checkpoints.save(tensors, {**asdict(self.state), "fingerprint": self.fingerprint})
        self.saved_at = time.monotonic()

    def _epoch(self) -> None:
        state, config = self.state, self.config
        order = epoch_generator(self.seed, state.round, state.epoch, ORDER)
        plan = plan_epoch(self.samples.lengths, config.batch_size, config.bucket, order)
        if state.batch == 0 and state.epoch % config.refresh_every == 0:
            self._refresh()
        self.update.step.train()
        total = self.epochs * len(plan)
        loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=self.fabric.device)
        begun = time.monotonic() - state.seconds
        while state.batch < len(plan):
            self.update.set_rate(learning_rate(config, state.step, total))
            if self.model.fusion is not None:
                self.model.fusion.set_progress(state.step / len(plan))
            loss, stop, due = self._train_on(plan[state.batch])
            loss_sum += loss
            state.batch += 1
            state.step += 1
            self.reporter.batch_done(state.epoch + 1, state.batch)
            if self.team.size == 1:
                stop, due = self.stop.is_set(), self._is_due()
            if state.batch < len(plan) and (due or stop):
                self._count(loss_sum, begun)
                self.save()
                if stop:
                    raise Interrupted
        self._count(loss_sum, begun)

    def _train_on(self, indices: Indices) -> tuple[Tensor, bool, bool]:
        """Move the model by a batch.

        Returns:
            Its mean loss, and whether any process was asked to stop, or wants a checkpoint.
        """
        seeds = [self.seed, self.state.round, self.state.epoch, BATCH, self.state.batch]
        stop, due = self.stop.is_set(), self.team.is_first and self._is_due()
        if self.team.shards > 1:
            self.update.optimizer.zero_grad()
            found = self.parts.gradient(indices, seeds, stop, due)
            self.update.apply()
            return found.loss, found.stop, found.due
        batch = self._make_batch(indices, np.random.default_rng(seeds))
        return self.update(batch, record=self.state.batch % WATCHED != 0), stop, due

    def _make_batch(self, indices: Indices, random: np.random.Generator) -> Batch:
        return self.views.add(self.samples.batch(indices, random), indices, random)

    def _is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.config.checkpoint_seconds

    def _count(self, loss_sum: Tensor, begun: float) -> None:
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
        last = epoch == self.epochs
        if epoch % config.validate_every == 0 or last:
            self.update.step.eval()
            if self.update.rows is not None:
                self.update.rows.flush()
            metrics = self.validate()
            score = metrics[config.metric]
            record["validation"] = {name: metrics[name] for name in dict.fromkeys((config.metric, "hr@10"))}
            state.stale += 1
            if state.best is None or score > state.best:
                state.best, state.best_epoch, state.stale = score, epoch, 0
                record["best"] = True
                self.best_weights = copied(self.model.state_dict(), self.best_weights)
        record["learning_rate"] = float(self.update.optimizer.param_groups[0]["lr"])
        record["seconds"] = round(state.seconds, 3)
        record |= self.model.fusion.diagnostics() if self.model.fusion is not None else {}
        state.history.append(record)
        self.reporter.epoch_done(record)
        state.epoch, state.batch, state.loss_sum, state.seconds = epoch, 0, 0.0, 0.0
        state.finished = last or state.stale >= config.patience

    def _refresh(self) -> None:
        if self.model.fusion is None or not self.model.fusion.needs_tables:
            return
        random = epoch_generator(self.seed, self.state.round, self.state.epoch, REFRESH)
        count = min(self.config.refresh_histories, len(self.samples))
        chosen = np.sort(random.choice(len(self.samples), count, replace=False))
        self.update.step.eval()
        if self.team.shards > 1:
            torch.manual_seed(int(random.integers(2**63)))
        with torch.no_grad():
            self.model.fusion.refresh(
                self.model.fusion_inputs(self.samples.batch(part, random).to(self.fabric.device).items)
                for part in np.array_split(chosen, -(-count // self.config.batch_size))
            )
        self.team.equalise(self.model.fusion)

    def _stop_if_asked(self) -> None:
        if self.team.any(self.stop.is_set()):
            raise Interrupted
