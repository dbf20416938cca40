"""Training callbacks: the console, the run's log, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltfr.errors import MissingExtraError, OutputError
from mltfr.storage.progress import ConsoleProgress, Progress
from mltfr.training.times import RoundTimes

Record = dict[str, Any]
"""One epoch: round, epoch, step, loss, validation metrics, learning rate, seconds, diagnostics."""


class Callback(Progress):
    """Called during training; does nothing. Subclasses override the events that they need."""

    def message(self, text: str) -> None:
        """Called with a log message."""

    def on_fit_start(self, name: str, settings: Mapping[str, Any]) -> None:
        """Called when a fit begins, with what the run is called, and every setting by its dotted key.

        Settings are as they may leave this machine: without folders, trackers and conditions on rows.
        """

    def on_resume(self, history: Sequence[Record]) -> None:
        """Called where training goes on, with the records of the epochs before."""

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Called when a round begins, with its maximum number of epochs and the batches of each."""

    def on_batch_end(self, epoch: int, batch: int) -> None:
        """Called after a batch, with its epoch and its number, from 1."""

    def on_epoch_end(self, record: Record) -> None:
        """Called after an epoch and its validation, with its record."""

    def on_fit_end(self, metrics: Mapping[str, Any] | None) -> None:
        """Called when a fit ends, with the document of `metrics.json`; None where it was stopped or has failed."""

    def close(self) -> None:
        """Called at the end of training: close files and displays."""


class Callbacks(Callback):
    """Calls several callbacks, one after the other."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks

    def start(self, task: str, total: int | None = None, done: int = 0) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.start(task, total, done)

    def advance(self, steps: int = 1) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.advance(steps)

    def message(self, text: str) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.message(text)

    def on_fit_start(self, name: str, settings: Mapping[str, Any]) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.on_fit_start(name, settings)

    def on_resume(self, history: Sequence[Record]) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.on_resume(history)

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.on_round_start(number, rounds, epochs, batches)

    def on_batch_end(self, epoch: int, batch: int) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.on_batch_end(epoch, batch)

    def on_epoch_end(self, record: Record) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.on_epoch_end(record)

    def on_fit_end(self, metrics: Mapping[str, Any] | None) -> None:
        """Call them all."""
        for callback in self.callbacks:
            callback.on_fit_end(metrics)

    def close(self) -> None:
        """Close them all."""
        for callback in self.callbacks:
            callback.close()


class Console(ConsoleProgress, Callback):
    """Writes to stderr: one line an epoch, and the time left of the round: on a terminal a bar, else lines."""

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Remember the extent of the round, and time it anew: its steps may take longer than those before."""
        self.round = f"round {number} of {rounds}, " if rounds > 1 else ""
        self.epochs, self.batches, self.epoch, self.times = epochs, batches, 0, RoundTimes()

    def on_batch_end(self, epoch: int, batch: int) -> None:
        """Move the bar; its steps are the batches of all epochs, some of which may not have been reported."""
        before, total = (epoch - 1) * self.batches, self.epochs * self.batches
        if epoch != self.epoch:
            self.epoch, self.batch = epoch, 0
            self.start(self._epoch(epoch), total, before, "batches")
        steps, self.batch = batch - self.batch, batch
        self.times.step(self.console.get_time(), steps)
        known = self.times.steps > 0
        self.advance(steps, self.times.of(total - before - batch, self.epochs - epoch + 1) if known else None)

    def on_epoch_end(self, record: Record) -> None:
        """Print one line."""
        self.times.validation(self.console.get_time())
        scores = ", ".join(f"{name} {value:.4f}" for name, value in record.get("validation", {}).items())
        star = " *" if record.get("best") else ""
        self.message(
            f"{self._epoch(record['epoch'])}: loss {record['loss']:.4f}"
            + (f", validation {scores}{star}" if scores else "")
            + f" ({record['seconds']:.1f} s)"
        )

    def _epoch(self, number: int) -> str:
        return f"{self.round}epoch {number} of at most {self.epochs}"


class JsonLines(Callback):
    """Writes one JSON line an epoch into the run folder."""

    def __init__(self, path: Path, history: Sequence[Record]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("w", encoding="utf-8")
        for record in history:  # of a resumed run
            self.on_epoch_end(record)

    def on_epoch_end(self, record: Record) -> None:
        """Write one line.

        Raises:
            OutputError: the disk is full.
        """
        try:
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}). "
                "Free some space, then run the same command with --resume."
            ) from error

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # a line that could not be written has been an error already
            self.file.close()


class TensorBoard(Callback):
    """Writes TensorBoard event files."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "tensorboard") from error
        self.writer: Any = SummaryWriter(str(folder))

    def on_epoch_end(self, record: Record) -> None:
        """Write every number of the record."""
        for name, value in flatten(record).items():
            self.writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Close the event file."""
        self.writer.close()


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of a nested record under names like `validation/ndcg@10`."""
    flat: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[prefix + name] = float(value)
    return flat
