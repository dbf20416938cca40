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

    def validation(self, epoch: int, seconds: float) -> None:
        """Show a validation, and report the end of the epoch."""
        self.callback.start("evaluating", 2)
        for _ in range(2):
            self.now += seconds / 2
            self.callback.advance()
        self.callback.close()
        self.callback.on_epoch_end({"epoch": epoch, "loss": 1.0, "seconds": 0.0})

    def bar(self) -> tuple[float, str]:
        """Return the steps done, and what is shown of the time left."""
        assert self.callback._bar is not None
        (task,) = self.callback._bar.tasks
        return task.completed, task.fields["left"]


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
            assert clock.bar() == (done, f"{(30 - done) * SECONDS:.2g} s left")
            clock.batches(epoch, range(6, 11))
            clock.callback.on_epoch_end({"epoch": epoch, "loss": 1.0, "seconds": 20.0})


def test_batches_that_are_not_reported_count(clock):
    """A cluster reports batches twice a second at most."""
    clock.callback.on_round_start(1, 1, epochs=2, batches=100)
    for epoch, left in ((1, "5 minutes left"), (2, "2 minutes left")):
        clock.batches(epoch, range(5, 51, 5))
        assert clock.bar() == ((epoch - 1) * 100 + 50, left)


def test_without_a_terminal_an_epoch_tells_a_line_every_30_seconds():
    clock = Clock(terminal=False)
    clock.callback.on_round_start(1, 2, epochs=3, batches=40)
    clock.batches(1, range(1, 41))
    clock.callback.on_epoch_end({"epoch": 1, "loss": 1.0, "seconds": 80.0})
    clock.batches(2, range(1, 20))
    assert clock.file.getvalue().splitlines() == [
        "round 1 of 2, epoch 1 of at most 3: 16 of 120 batches, about 3 minutes left",
        "round 1 of 2, epoch 1 of at most 3: 31 of 120 batches, about 3 minutes left",
        "round 1 of 2, epoch 1 of at most 3: loss 1.0000 (80.0 s)",
        "round 1 of 2, epoch 2 of at most 3: 55 of 120 batches, about 2 minutes left",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_validations_are_in_the_time_left_from_epoch_2_on(terminal):
    """Ten epochs of 40 steps of two seconds, and validations of three minutes."""
    clock = Clock(terminal)
    clock.callback.on_round_start(1, 1, epochs=10, batches=40)
    for epoch in (1, 2):
        clock.batches(epoch, range(1, 36))
        if terminal:
            validations = 180 * (10 - epoch + 1) * (epoch > 1)
            seconds = 2 * (400 - 40 * (epoch - 1) - 35) + validations
            assert clock.bar()[1] == f"{seconds / 60:.0f} minutes left"
        clock.batches(epoch, range(36, 41))
        clock.validation(epoch, 180.0)
    clock.callback.close()
    if not terminal:
        lines = [line for line in clock.file.getvalue().splitlines() if "batches" in line]
        assert lines == [
            "epoch 1 of at most 10: 16 of 400 batches, about 13 minutes left",
            "epoch 1 of at most 10: 31 of 400 batches, about 12 minutes left",
            "epoch 2 of at most 10: 55 of 400 batches, about 38 minutes left",
            "epoch 2 of at most 10: 70 of 400 batches, about 38 minutes left",
        ]


def test_a_terminal_of_80_columns_shows_the_time_left():
    clock = Clock(terminal=True)
    clock.callback.console.width = 80
    clock.callback.on_round_start(1, 2, epochs=40, batches=3000)
    clock.batches(12, range(1, 4))
    with clock.callback.console.capture() as shown:
        clock.callback.console.print(clock.callback._bar)
    clock.callback.close()
    assert "round 1 of 2, epoch 12 of at most 40" in shown.get()
    assert "33003/120000" in shown.get()
    assert "48.3 hours left" in shown.get()
