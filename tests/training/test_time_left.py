"""The time left that the console shows while a model trains."""

from __future__ import annotations

import io

import pytest
from rich.console import Console as RichConsole

from mltfr.training import Console

SECONDS = 2.0
"""What a batch takes."""


class Clock:
    """A console on a terminal or elsewhere, whose time goes on by `SECONDS` a batch."""

    def __init__(self, terminal: bool) -> None:
        self.now, self.file = 0.0, io.StringIO()
        self.callback = Console()
        self.callback.console = RichConsole(
            file=self.file, force_terminal=terminal, color_system=None, soft_wrap=True, get_time=lambda: self.now
        )

    def batches(self, epoch: int, batches: range) -> None:
        """Report the last of every `batches.step` batches."""
        for batch in batches:
            self.now += SECONDS * batches.step
            self.callback.on_batch_end(epoch, batch)

    def bar(self) -> tuple[float, float | None]:
        """Return the steps done, and the seconds left."""
        assert self.callback._bar is not None
        (task,) = self.callback._bar.tasks
        return task.completed, task.time_remaining


@pytest.fixture
def clock():
    clock = Clock(terminal=True)
    yield clock
    clock.callback.close()


def test_the_bar_shows_the_time_left_in_every_epoch_and_round(clock):
    for number in (1, 2):
        clock.callback.on_round_start(number, 2, epochs=3, batches=10)
        for epoch in (1, 2, 3):
            clock.batches(epoch, range(1, 6))
            done = (epoch - 1) * 10 + 5
            assert clock.bar() == (done, (30 - done) * SECONDS)
            clock.batches(epoch, range(6, 11))
            clock.callback.on_epoch_end({"epoch": epoch, "loss": 1.0, "seconds": 20.0})


def test_batches_that_are_not_reported_count(clock):
    """A cluster reports batches twice a second at most."""
    clock.callback.on_round_start(1, 1, epochs=2, batches=100)
    for epoch, left in ((1, 300.0), (2, 100.0)):
        clock.batches(epoch, range(5, 51, 5))
        assert clock.bar() == ((epoch - 1) * 100 + 50, left)


def test_without_a_terminal_an_epoch_tells_a_line_every_30_seconds():
    clock = Clock(terminal=False)
    clock.callback.on_round_start(1, 2, epochs=3, batches=40)
    clock.batches(1, range(1, 41))
    clock.callback.on_epoch_end({"epoch": 1, "loss": 1.0, "seconds": 80.0})
    clock.batches(2, range(1, 20))
    assert clock.file.getvalue().splitlines() == [
        "round 1 of 2, epoch 1 of at most 3: 16 of 120 batches, about 208 s left",
        "round 1 of 2, epoch 1 of at most 3: 31 of 120 batches, about 178 s left",
        "round 1 of 2, epoch 1 of at most 3: loss 1.0000 (80.0 s)",
        "round 1 of 2, epoch 2 of at most 3: 55 of 120 batches, about 130 s left",
    ]
