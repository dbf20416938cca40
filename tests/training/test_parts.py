from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.training import Checkpoints, Interrupted, Reporter, Team, TrainingConfig, load_saved, train
from mltfr.training.devices import make_fabric
from mltfr.training.parts import Parts
from mltfr.training.samples import make_samples
from mltfr.training.step import TrainingStep

ITEMS = 12
LENGTHS = [3 + user % 6 for user in range(40)]
HISTORIES = Histories.from_sequences([[(n + step) % ITEMS + 1 for step in range(LENGTHS[n])] for n in range(40)])


def build(dropout=0.0):
    torch.manual_seed(0)
    entry = BACKBONES.get("sasrec")
    return SequentialModel(ITEMS, entry.cls(entry.config(hidden=16, heads=2, max_length=6, dropout=dropout)))


def loss(name="cross_entropy"):
    entry = LOSSES.get(name)
    return entry.cls(entry.config(), torch.from_numpy(np.bincount(HISTORIES.items, minlength=ITEMS + 1)))


def gradient(shards, samples, size, dropout=0.0):
    step = TrainingStep(build(dropout), loss()).train()
    config = TrainingConfig(samples=samples)
    made = make_samples(config, step.model, HISTORIES)
    team = Team(make_fabric(TrainingConfig(device="cpu")), shards)
    parts = Parts(team, step.parameters(), made.batch, lambda batch: step(batch.items, batch.targets))
    found = parts.gradient(np.arange(size), [0, 1], stop=False, due=True)
    assert (found.stop, found.due) == (False, True)
    return found.loss, {name: value.grad for name, value in step.named_parameters()}


@pytest.mark.parametrize("samples", ["prefixes", "positions"])
@pytest.mark.parametrize(("shards", "size"), [(2, 21), (5, 40), (8, 3)])
def test_the_parts_add_up_to_the_batch(samples, shards, size):
    """Parts with other numbers of positions weigh as much as their positions; eight parts of three are partly empty."""
    whole, wholes = gradient(1, samples, size)
    found, parts = gradient(shards, samples, size)
    torch.testing.assert_close(found, whole, rtol=1e-6, atol=0)
    for name, value in wholes.items():
        if value is None:
            assert parts[name] is None
        else:
            torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_every_part_has_random_numbers_of_its_own():
    first, again, other = (gradient(shards, "prefixes", 20, 0.5) for shards in (2, 2, 4))
    assert first[0] == again[0]
    assert first[0] != other[0]


def fit(shards, folder=None, stop_at=None, saved=None):
    """Train with dropout and sampled negatives."""
    from threading import Event

    stop = Event()

    class StopThere(Reporter):
        def batch_done(self, epoch, batch):
            if (epoch, batch) == stop_at:
                stop.set()

    scores = iter([0.1, 0.2, 0.3])
    config = TrainingConfig(batch_size=32, device="cpu", epochs=2, shards=shards)
    return train(
        lambda: build(0.3), loss("sampled_softmax"), HISTORIES, lambda model: {"ndcg@10": next(scores), "hr@10": 0.0},
        config, seed=0, checkpoints=folder, saved=saved, reporter=StopThere(), stop=stop,
    ).model.state_dict()  # fmt: skip


def test_a_run_in_parts_resumes_to_the_same_bits(tmp_path):
    straight = fit(2)
    folder = Checkpoints(tmp_path / "checkpoint")
    with pytest.raises(Interrupted):
        fit(2, folder, stop_at=(1, 2))
    torch.rand(7)  # whatever happened in between
    resumed = fit(2, folder, saved=load_saved(folder, ""))
    assert all(torch.equal(resumed[name], value) for name, value in straight.items())
    assert any(not torch.equal(value, straight[name]) for name, value in fit(1).items())


def test_parts_that_cannot_be_dealt_out_evenly():
    fabric = make_fabric(TrainingConfig(device="cpu"))
    with pytest.raises(ConfigError, match=r"2 processes train together, and training.shards = 3 is no multiple"):
        Team(fabric, 3, 0, 2)
    assert [list(Team(fabric, 4, rank, 2).mine) for rank in (0, 1)] == [[0, 2], [1, 3]]
