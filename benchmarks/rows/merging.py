"""Between the rounds: the experts' Fisher information, estimated example by example."""

from __future__ import annotations

import time

from harness.clock import peak_megabytes
from harness.data import read_split
from harness.floor import floor_megabytes
from harness.models import configure
from harness.result import Budget, Result
from harness.settings import Settings
from harness.tables import get_tables
from harness.trainer import train_epochs
from mltfr.training import Callback

USERS = 2048


class Between(Callback):
    """Notes the time from the end of round 1 to the start of round 2."""

    def __init__(self) -> None:
        self.begun = self.seconds = 0.0

    def message(self, text: str) -> None:
        """Hear that the estimate begins."""
        self.begun = time.process_time()

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Hear that a round begins."""
        if number == 2:
            self.seconds = time.process_time() - self.begun


def merge(settings: Settings) -> list[Result]:
    """The estimate and the merge between two rounds of one epoch of some users, and the memory of it all."""
    split = read_split(settings)
    tables, origin = get_tables(settings, 3)
    config = configure(settings, loss="cross_entropy", fusion="mltfr", tables=tables)
    between = Between()
    model, _ = train_epochs(config, split, 1, tables, users=USERS, callback=between)
    peak = peak_megabytes()
    parameters = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    least = floor_megabytes(settings, parameters, len(split.histories.items))
    what = "mltfr, 3 tables, cross_entropy, samples = positions"
    fisher = f"Fisher information after an epoch of {USERS:,} users, and the merge: {what}"
    memory = Budget(800, 600)
    return [
        Result(fisher, "s", [between.seconds], note=origin),
        Result(f"memory of both rounds: {what}", "MB", [peak], "peak", budget=memory, note=origin, floor=least),
    ]
