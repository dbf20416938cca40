"""The Fisher information between the rounds: exact, and over the right batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.storage.progress import SILENT, Progress
from mltfr.testing.toy import HIDDEN, ToyBackbone, random_table
from mltfr.training import Callback, Callbacks, TrainingConfig, merge, train
from mltfr.training.samples import make_samples
from mltfr.training.step import TrainingLoss

ITEMS = 12
HISTORIES = Histories.from_sequences([[(s * 5 + n * n) % ITEMS + 1 for n in range(3 + s % 5)] for s in range(30)])

MANY = 1000
"""Epochs of round 1, after which every sample may be an example."""


class Seen(Exception):
    """Carries what the fusion was asked to merge."""


class Steps(Progress):
    """Keeps the extent of the task, and how far it has come."""

    def start(self, task, total=None, done=0):
        self.total, self.steps = total, []

    def advance(self, steps=1):
        self.steps.append(steps)


def estimate(monkeypatch, name, progress=None, epochs=MANY, site=0, **settings):
    """Return the model, its loss, the samples, and the Fisher information that the merge gets."""
    entry = FUSIONS.get(name)
    tables = [random_table("a"), random_table("b", 40)]
    fusion = entry.cls(entry.config(site=site), FusionInputs(HIDDEN, True, tables, seed=1))
    torch.manual_seed(0)
    model = SequentialModel(ITEMS, ToyBackbone(), fusion, site).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    config = TrainingConfig(device="cpu", **settings)
    samples = make_samples(config, model, HISTORIES)
    items = samples.batch(np.arange(len(samples)), np.random.default_rng(0)).items
    with torch.no_grad():
        fusion.refresh([model.fusion_inputs(items)])
    loss_entry = LOSSES.get("cross_entropy")
    loss = loss_entry.cls(loss_entry.config(), torch.ones(ITEMS + 1))

    def seen(fisher):
        raise Seen(fisher)

    monkeypatch.setattr(fusion, "merge_experts", seen)
    with pytest.raises(Seen) as caught:
        merge.merge_experts(model, loss, samples, config, 0, epochs, progress or SILENT)
    return model, loss, samples, caught.value.args[0]


@pytest.mark.parametrize("site", [0, "items"])
@pytest.mark.parametrize("kind", ["positions", "prefixes"])
def test_it_is_the_mean_square_of_every_examples_gradient(monkeypatch, kind, site):
    model, loss, samples, fisher = estimate(monkeypatch, "mltfr", samples=kind, batch_size=7, site=site)
    parameters = dict(model.fusion.fisher_parameters())
    expected = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for number in range(len(samples)):
        batch = samples.batch(np.array([number]), np.random.default_rng(0))
        hidden = model.encode(batch.items, batch.targets.shape[1])
        wanted = batch.targets > 0
        total = loss.per_position(hidden[wanted], batch.targets[wanted], model.scoring_matrix()).sum()
        gradients = torch.autograd.grad(total, list(parameters.values()), materialize_grads=True)
        for name, gradient in zip(parameters, gradients, strict=True):
            expected[name] += gradient.square() / len(samples)
    assert set(fisher) == set(expected)
    assert any(value.any() for value in expected.values())
    for name, value in expected.items():
        assert not fisher[name].requires_grad
        torch.testing.assert_close(fisher[name], value.detach(), rtol=1e-4, atol=1e-9, msg=name)


def test_no_more_examples_than_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(merge, "hidden_gradient", _noting(asked, merge.hidden_gradient))
    estimate(monkeypatch, "mltfr", advanced={"fisher_examples": 11}, batch_size=4)
    assert sum(asked) == 11


@pytest.mark.parametrize(("epochs", "count"), [(1, 5), (5, 6), (11, 14), (100, 30)])
def test_examples_are_one_for_so_many_samples_of_round_1(monkeypatch, epochs, count):
    """A few are always taken, and never more than there are."""
    asked = []
    monkeypatch.setattr(merge, "FEWEST", 5)
    monkeypatch.setattr(merge, "SAMPLES_AN_EXAMPLE", 23)
    monkeypatch.setattr(merge, "hidden_gradient", _noting(asked, merge.hidden_gradient))
    _, _, samples, _ = estimate(monkeypatch, "mltfr", epochs=epochs, samples="positions")
    assert len(samples) == 30
    assert sum(asked) == count


def test_where_items_are_corrected_an_example_is_for_ten_steps(monkeypatch):
    sizes = []
    monkeypatch.setattr(merge, "FEWEST", 2)
    monkeypatch.setattr(TrainingLoss, "forward", _noting(sizes, TrainingLoss.forward))
    _, _, samples, _ = estimate(monkeypatch, "mltfr", epochs=10, samples="positions", batch_size=3, site="items")
    assert len(samples) == 30  # 10 steps an epoch
    assert sizes == [1] * 10


def test_the_reference_takes_every_training_batch(monkeypatch):
    sizes = []
    monkeypatch.setattr(TrainingLoss, "forward", _noting(sizes, TrainingLoss.forward))
    _, _, samples, _ = estimate(monkeypatch, "mltfr-reference", advanced={"fisher_examples": 11}, batch_size=16)
    full, rest = divmod(len(samples), 16)
    assert sorted(sizes) == sorted([16] * full + [rest] * (rest > 0))


@pytest.mark.parametrize("name", ["mltfr", "mltfr-reference"])
def test_it_tells_how_far_it_is(monkeypatch, name):
    steps = Steps()
    _, _, samples, _ = estimate(monkeypatch, name, Callbacks([steps]), samples="positions", batch_size=7)
    assert steps.total == sum(steps.steps) == len(samples)
    assert len(steps.steps) == -(-len(samples) // 7)


def test_training_passes_its_callback_on():
    """Between the rounds the estimate reports to whoever follows the training."""

    class Told(Callback):
        tasks: tuple = ()

        def start(self, task, total=None, done=0):
            self.tasks += ((task, total),)

    def build():
        entry = FUSIONS.get("mltfr")
        tables = [random_table("a"), random_table("b", 40)]
        fusion = entry.cls(entry.config(), FusionInputs(HIDDEN, True, tables, seed=1))
        return SequentialModel(ITEMS, ToyBackbone(), fusion, 0)

    told, loss_entry = Told(), LOSSES.get("cross_entropy")
    loss = loss_entry.cls(loss_entry.config(), torch.ones(ITEMS + 1))
    config = TrainingConfig(device="cpu", samples="positions", epochs=1, first_round_epochs=1)
    train(build, loss, HISTORIES, lambda model: {"ndcg@10": 0.1, "hr@10": 0.1}, config, seed=0, callback=told)
    assert told.tasks == (("Fisher information", len(HISTORIES)),)


def _noting(sizes, method):
    """Return the method, made to note the size of every batch; dropout has to be off."""

    def noted(step, batch):
        assert not step.training
        sizes.append(len(batch.items))
        return method(step, batch)

    return noted
