"""Takes the time of an epoch that a Lightning trainer runs, without the trainer's own setting up."""

from __future__ import annotations

from typing import Any

from protocol import Clock, Epoch


def epoch_clock(callback: type[Any]) -> Any:
    """Return a callback, of the given base class, that measures the epoch and counts its batches."""

    class EpochClock(callback):  # type: ignore[misc, valid-type]
        """From the epoch's start to its end."""

        def __init__(self) -> None:
            self.batches = 0
            self.seconds: dict[str, float] = {}

        def on_train_epoch_start(self, *_: Any) -> None:
            self.batches, self.clock = 0, Clock()

        def on_train_batch_end(self, *_: Any, **__: Any) -> None:
            self.batches += 1

        def on_train_epoch_end(self, *_: Any) -> None:
            self.seconds = self.clock.read()

        def epoch(self) -> Epoch:
            """Return what was measured."""
            return Epoch(batches=self.batches, **self.seconds)

    return EpochClock()


def trainer_settings(batches: int | None) -> dict[str, Any]:
    """Return what a trainer of one epoch, or of its first batches, is built with: nothing but training."""
    return {
        "max_epochs": 1,
        "limit_train_batches": 1.0 if batches is None else batches,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
