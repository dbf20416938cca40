from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.training import Checkpoints, Interrupted, ProcessGroup, TrainingConfig, load_checkpoint, train
from mltfr.training.distributed import ShardedGradient
from mltfr.training.samples import make_samples
from mltfr.training.step import OptimizationStep, TrainingLoss
from support.stopping import StopAt

ITEMS, CPU = 12, torch.device("cpu")
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
    model = build(dropout)
    config = TrainingConfig(samples=samples)
    step = OptimizationStep(TrainingLoss(model, loss()).train(), config, CPU)
    made = make_samples(config, model, HISTORIES)
    sharded = ShardedGradient(ProcessGroup(CPU, shards), model.parameters(), made.batch, step.gradient)
    return sharded(np.arange(size), [0, 1]), {name: value.grad for name, value in model.named_parameters()}


@pytest.mark.parametrize("samples", ["prefixes", "positions"])
@pytest.mark.parametrize(("shards", "size"), [(2, 21), (5, 40), (8, 3)])
def test_the_shards_add_up_to_the_batch(samples, shards, size):
    """A shard weighs as much as it has targets; of eight shards of three samples, some are empty."""
    whole, wholes = gradient(1, samples, size)
    found, sharded = gradient(shards, samples, size)
    torch.testing.assert_close(found, whole, rtol=1e-6, atol=0)
    for name, value in wholes.items():
        if value is None:
            assert sharded[name] is None
        else:
            torch.testing.assert_close(sharded[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_every_shard_has_random_numbers_of_its_own():
    first, again, other = (gradient(shards, "prefixes", 20, 0.5) for shards in (2, 2, 4))
    assert first[0] == again[0]
    assert first[0] != other[0]


def fit(shards, folder=None, callback=None, checkpoint=None):
    """Train with dropout and sampled negatives."""
    scores = iter([0.1, 0.2, 0.3])
    config = TrainingConfig(batch_size=32, device="cpu", epochs=2, shards=shards)
    return train(
        lambda: build(0.3), loss("sampled_softmax"), HISTORIES, lambda model: {"ndcg@10": next(scores), "hr@10": 0.0},
        config, seed=0, checkpoints=folder, checkpoint=checkpoint, callback=callback,
        stop=callback.stop if callback else None,
    ).model.state_dict()  # fmt: skip


def test_a_sharded_run_resumes_to_the_same_bits(tmp_path):
    straight = fit(2)
    folder = Checkpoints(tmp_path / "checkpoint")
    with pytest.raises(Interrupted):
        fit(2, folder, StopAt(2))
    torch.rand(7)  # whatever happened in between
    resumed = fit(2, folder, checkpoint=load_checkpoint(folder, ""))
    assert all(torch.equal(resumed[name], value) for name, value in straight.items())
    assert any(not torch.equal(value, straight[name]) for name, value in fit(1).items())


def test_shards_that_cannot_be_distributed_evenly():
    with pytest.raises(ConfigError, match=r"2 processes train together, and training.shards = 3 is no multiple"):
        ProcessGroup(CPU, 3, 0, 2)
    assert [list(ProcessGroup(CPU, 4, rank, 2).local_shards) for rank in (0, 1)] == [[0, 2], [1, 3]]
