"""Training steps one at a time, and epochs as the training loop runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from harness.clock import Stopwatch, Times
from mltfr.interactions import Histories, Split
from mltfr.model import SequentialModel
from mltfr.pipeline import RunConfig
from mltfr.pipeline.build import build_loss, build_model, build_objective
from mltfr.tokens import PreparedTable
from mltfr.training import Callback, Callbacks, Trained, train
from mltfr.training.asking import asking_codes, unseen_histories
from mltfr.training.batch import Batch
from mltfr.training.callbacks import Record
from mltfr.training.cuda_graphs import CapturedStep, can_capture
from mltfr.training.device import make_device
from mltfr.training.epoch import epoch_generator, plan_epoch
from mltfr.training.samples import make_batch, make_samples
from mltfr.training.step import OptimizationStep, TrainingLoss


class Stepper:
    """A model that trains one given batch at a time: what the loop does for each batch, without making it."""

    def __init__(self, config: RunConfig, split: Split, tables: Sequence[PreparedTable] = ()) -> None:
        self.config = config.training
        self.model = build_model(config, len(split.vocabulary), tables)
        self.samples = make_samples(config.training, self.model, split.train_histories())
        self.objective = build_objective(config, len(split.vocabulary))
        self.unseen = torch.from_numpy(unseen_histories(split, config.backbone.max_length, config.seed))
        loss = TrainingLoss(self.model, build_loss(config, split.vocabulary.counts), self.objective).train()
        device = make_device(config.training)
        capture = can_capture(loss, config.training, device)
        self.step = OptimizationStep(loss, config.training, device, capture)
        self.captured = CapturedStep(self.step) if capture else None

    @property
    def batches_of_an_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.samples) // self.config.samples_of_a_batch)

    def batches(self, number: int, seed: int) -> list[Batch]:
        """Return batches of the first epoch that stand for all: evenly spaced by size, in random order."""
        random = epoch_generator(seed, 1, 0)
        lengths = self.samples.lengths(np.arange(len(self.samples)))
        size, bucket = self.config.samples_of_a_batch, self.config.advanced.bucket
        plan = list(plan_epoch(len(lengths), self.samples.lengths, size, bucket, random))
        plan.sort(key=lambda indices: len(indices) * int(lengths[indices].max()))
        places = (np.arange(number) + 0.5) * len(plan) / number
        chosen = random.permutation(np.minimum(places.astype(int), len(plan) - 1))
        return [make_batch(self.samples, self.objective, plan[n], random) for n in chosen]

    def run(self, batch: Batch) -> None:
        """Train on one batch."""
        if self.captured is not None:
            self.captured(batch)
        else:
            self.step(batch.to(self.step.device))

    def refresh(self, seed: int) -> None:
        """Choose the shortlists again, as the loop does before an epoch."""
        fusion = self.model.fusion
        if fusion is None or not fusion.refresh_histories:
            return
        size, device = self.config.samples_of_a_batch, self.step.device
        asked = asking_codes(self.model, self.samples, size, np.random.default_rng(seed))
        self.model.eval()
        fusion.refresh(
            (self.model.fusion_inputs(codes.to(device)) for codes in asked),
            [self.model.fusion_inputs(self.unseen.to(device))],
        )
        self.model.train()


class EpochTimes(Callback):
    """Takes the time of every epoch, from its first batch's making to its last update."""

    def __init__(self) -> None:
        self.watch = Stopwatch()
        self.times = Times([], [])

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Start the watch."""
        self.watch.lap()

    def on_epoch_end(self, record: Record) -> None:
        """Note the time and start again."""
        cpu, wall = self.watch.lap()
        self.times.cpu.append(cpu)
        self.times.wall.append(wall)


class StepTimes(Callback):
    """Takes the time from one step's end to the next one's: making a batch, and training on it."""

    def __init__(self) -> None:
        self.watch = Stopwatch()
        self.steps = 0
        self.times = Times([], [])

    def on_batch_end(self, epoch: int, batch: int) -> None:
        """Note the time; the first step has no step before it, and warms up."""
        cpu, wall = self.watch.lap()
        self.steps += 1
        if self.steps > 1:
            self.times.cpu.append(cpu)
            self.times.wall.append(wall)


def train_epochs(
    config: RunConfig,
    split: Split,
    epochs: int,
    tables: Sequence[PreparedTable] = (),
    users: int | None = None,
    callback: Callback | None = None,
) -> tuple[SequentialModel, Times]:
    """Train whole epochs by the project's own loop, without validation.

    Args:
        config: settings.
        split: the log.
        epochs: epochs of every round.
        tables: token tables.
        users: how many users to train on; all if not given.
        callback: called on progress besides.

    Returns:
        The model, and the times of all epochs.
    """
    clock = EpochTimes()
    histories = split.train_histories()
    if users is not None:
        offsets = histories.offsets[: users + 1]
        histories = Histories(offsets, histories.items[: offsets[-1]])
    score = {"hr@10": 0.0, config.training.metric: 0.0}
    training = config.training.model_copy(update={"epochs": epochs, "patience": epochs})
    build: Callable[[], SequentialModel] = lambda: build_model(config, len(split.vocabulary), tables)  # noqa: E731
    trained: Trained = train(
        build,
        build_loss(config, split.vocabulary.counts),
        histories,
        lambda model: score,
        training,
        seed=config.seed,
        objective=build_objective(config, len(split.vocabulary)),
        callback=Callbacks([clock, callback or Callback()]),
    )
    return trained.model, clock.times
