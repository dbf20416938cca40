"""Fits that are stopped on their way."""

from __future__ import annotations

from threading import Event

from mltfr.training import Callback


class StopAt(Callback):
    """Asks to stop after some batches."""

    def __init__(self, batches: int) -> None:
        self.left, self.stop = batches, Event()

    def on_batch_end(self, epoch: int, batch: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.stop.set()
