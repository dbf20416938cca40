"""The time that a training takes at most, told after its first seconds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.testing.toy import HIDDEN, ToyBackbone, random_table
from mltfr.training import Callback, TrainingConfig, pace, train
from mltfr.training.pace import Pace, PaceMeter, faster_settings
from mltfr.training.samples import make_samples

ITEMS = 12
HISTORIES = Histories.from_sequences([[(s * 5 + n * n) % ITEMS + 1 for n in range(8)] for s in range(30)])
FASTER = {"--set training.samples=positions": "1/7 of the steps of an epoch, but as a rule weaker scores"}


class Clock:
    """Time that goes on as told."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)

    def train(self, meter, number, batches, epochs, first=0, step=1.0, validation=0.0, warm_up=60.0):
        """Report epochs of batches, from a batch on; the first step takes longer."""
        meter.on_round_start(number, len(meter.epochs), meter.epochs[number - 1], batches)
        self.now += warm_up
        for epoch in epochs:
            for batch in range(first + 1, batches + 1):
                self.now += step
                meter.on_batch_end(epoch, batch)
            first = 0
            self.now += validation
            meter.on_epoch_end({"epoch": epoch})


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def meter_of(*epochs):
    """Return a meter, and the list of what it tells."""
    told: list[Pace] = []
    return PaceMeter(epochs, told.append, lambda seconds: FASTER), told


def test_it_is_told_once_after_some_seconds_of_a_long_epoch(clock):
    meter, told = meter_of(10, 40)
    clock.train(meter, 1, batches=12, epochs=[1, 2])
    clock.train(meter, 2, batches=12, epochs=[1])
    (found,) = told
    assert (found.epoch_seconds, found.validated, found.epochs, found.faster) == (12.0, False, (10, 40), {})
    assert found.seconds == 12 * (50 - 0.5 + 1)  # six steps are done, and the merge takes at most as long as an epoch
    assert str(found) == (
        "about 12 s an epoch without its validation, at most 10 + 40 epochs left and so 10 minutes; stops earlier when "
        "validation no longer improves"
    )


def test_what_is_faster_is_told_of_a_long_training(clock):
    meter, told = meter_of(100)
    clock.train(meter, 1, batches=100, epochs=[1])
    line, faster = str(told[0]).splitlines()
    assert "at most 100 epochs left and so 2.8 hours" in line
    (setting, gain), *_ = FASTER.items()
    assert faster == f"faster would be: {setting} ({gain})"


def test_short_epochs_are_timed_with_their_validation(clock):
    meter, told = meter_of(20)
    clock.train(meter, 1, batches=2, epochs=range(1, 21), validation=1.0)
    (found,) = told
    assert (found.epoch_seconds, found.validated) == (3.0, True)
    assert (found.epochs, found.seconds) == ((18,), 54.0)  # told at the end of epoch 2


def test_a_resumed_training_tells_what_is_left(clock):
    meter, told = meter_of(10, 40)
    clock.train(meter, 2, batches=20, epochs=[31], first=10)
    (found,) = told
    assert (found.epoch_seconds, found.epochs) == (20.0, (10,))
    assert found.seconds == 20 * 10 - 16


def test_nothing_is_told_where_nothing_is_left(clock):
    meter, told = meter_of(2)
    clock.train(meter, 1, batches=3, epochs=[1, 2])
    assert told == []
    meter, told = meter_of(2, 3)
    clock.train(meter, 1, batches=3, epochs=[1, 2])
    assert [found.epochs for found in told] == [(3,)]


def build(fusion="mltfr", **settings):
    """Return a small model."""
    entry = FUSIONS.get(fusion)
    tables = [random_table("a"), random_table("b", 40)]
    part = entry.cls(entry.config(**settings), FusionInputs(HIDDEN, True, tables, seed=1)) if fusion != "none" else None
    return SequentialModel(ITEMS, ToyBackbone(), part, 0)


def test_what_is_faster_depends_on_what_is_slow():
    model, config = build(), TrainingConfig(device="cpu", samples="prefixes")
    found = faster_settings(model, make_samples(config, model, HISTORIES), HISTORIES, epochs=110, seconds=60)
    assert found == {
        "--set training.samples=positions": "1/7 of the steps of an epoch, but as a rule weaker scores",
        "--epochs 15": "at most 15 minutes",
        "--fusion none": "cheaper steps, and one round",
    }
    whole = make_samples(TrainingConfig(device="cpu", samples="positions"), model, HISTORIES)
    assert faster_settings(build(consensus_weight=0), whole, HISTORIES, epochs=20, seconds=60) == {
        "--fusion none": "cheaper steps"
    }
    assert faster_settings(build("none"), whole, HISTORIES, epochs=2, seconds=3600) == {}


def test_training_tells_it_and_trains_as_before(monkeypatch):
    """The steps that are timed are those of the training, whether a pace is told or not."""
    entry = LOSSES.get("cross_entropy")
    config = TrainingConfig(device="cpu", samples="prefixes", epochs=2, first_round_epochs=1, batch_size=16)

    class Told(Callback):
        def __init__(self):
            self.lines = []

        def message(self, text):
            self.lines.append(text)

    def run():
        told = Told()
        torch.manual_seed(0)
        loss = entry.cls(entry.config(), torch.ones(ITEMS + 1))
        validate = lambda model: {"ndcg@10": 0.1, "hr@10": 0.1}  # noqa: E731
        return told, train(build, loss, HISTORIES, validate, config, seed=0, callback=told)

    silent, plain = run()
    monkeypatch.setattr(pace, "TRIED_SECONDS", 0.0)
    told, timed = run()
    assert plain.pace is None
    assert not any("epochs left" in line for line in silent.lines)
    assert timed.pace is not None
    assert timed.pace.epochs == (1, 2)
    assert sum(line == str(timed.pace) for line in told.lines) == 1
    for name, weight in plain.model.state_dict().items():
        np.testing.assert_array_equal(weight, timed.model.state_dict()[name], err_msg=name)
