"""How `epochs` divides over two rounds, and what is said where a round cannot have what a setting asks for."""

from __future__ import annotations

import re
import warnings

import pytest

from mltfr.errors import MltfrWarning
from mltfr.pipeline import resolve


@pytest.mark.parametrize(("epochs", "given", "expected"), [
    (3, {}, (1, 2)),
    (2, {}, (1, 1)),
    (1, {}, (1, 1)),
    (20, {}, (5, 15)),
    (50, {}, (5, 45)),
    (50, {"preset": "reference"}, (20, 30)),
    (50, {"overrides": ["training.first_round_epochs=2"]}, (2, 48)),
    (50, {"overrides": ["training.epochs=7"]}, (5, 7)),
    (50, {"file": {"training": {"epochs": 7, "first_round_epochs": 4}}}, (4, 46)),
    (50, {"fusion": "none"}, (5, 50)),
    (1, {"fusion": "direct"}, (5, 1)),
    (1, {"overrides": ["fusion.consensus_weight=0"]}, (5, 1)),
])  # fmt: skip
def test_epochs_are_those_of_all_rounds(epochs, given, expected):
    training = resolve(epochs=epochs, **given).training
    assert (training.first_round_epochs, training.epochs) == expected


@pytest.mark.parametrize(("epochs", "given", "rounds", "said"), [
    (20, ["training.first_round_epochs=15"], (10, 10), "half of all epochs. Give epochs=30 or more (--epochs 30)."),
    (1, ["training.first_round_epochs=2"], (1, 1), "half of all epochs. Give epochs=4 or more (--epochs 4)."),
    (None, ["training.first_round_epochs=15", "training.epochs=5"], (15, 5), "as many as round 2. Give training."),
    (20, ["training.first_round_epochs=15", "training.epochs=5"], (15, 5), "as many as round 2. Give training."),
])  # fmt: skip
def test_epochs_that_round_1_cannot_have_are_said(epochs, given, rounds, said):
    cut = f"training.first_round_epochs={given[0][-2:].strip('=')} is cut to {min(rounds)}: round 1 has at most {said}"
    with pytest.warns(MltfrWarning, match=re.escape(cut)) as warned:
        training = resolve(epochs=epochs, overrides=given).training
    assert len(warned) == 1
    assert (training.first_round_epochs, training.epochs) == rounds


@pytest.mark.parametrize(("epochs", "given"), [
    (20, {"overrides": ["training.first_round_epochs=10"]}),
    (20, {"file": {"training": {"first_round_epochs": 15}}}),                     # flags win over a file
    (None, {}),
])  # fmt: skip
def test_nothing_is_said_where_round_1_has_what_was_asked(epochs, given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(epochs=epochs, **given)
