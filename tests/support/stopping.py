"""Fits that are stopped on their way."""

from __future__ import annotations

from threading import Event

from mltfr.training import Callback


class StopAt(Callback):
    """Asks to stop after some batches, counted from the start of an epoch."""

    def __init__(self, batches: int, epoch: int = 1, in_round: int = 1) -> None:
        self.left, self.since, self.round, self.stop = batches, (in_round, epoch), 1, Event()

    def on_round_start(self, number: int, *more: int) -> None:
        self.round = number

    def on_batch_end(self, epoch: int, batch: int) -> None:
        self.left -= (self.round, epoch) >= self.since
        if self.left == 0:
            self.stop.set()
