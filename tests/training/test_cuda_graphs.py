"""Steps replayed as CUDA graphs train as others do; needs a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mltfr.backbones import BACKBONES
from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.testing.toy import random_table
from mltfr.training import (
    AdvancedTrainingConfig,
    Checkpoints,
    Interrupted,
    TrainingConfig,
    load_checkpoint,
    train,
)
from mltfr.training.cuda_graphs import CapturedStep, can_capture
from mltfr.training.samples import make_samples
from mltfr.training.step import OptimizationStep, TrainingLoss
from support.stopping import StopAt

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
ITEMS, LENGTH, USERS, STEPS = 60, 20, 160, 24
_random = np.random.default_rng(0)
_lengths = _random.integers(3, LENGTH + 1, USERS)
HISTORIES = Histories.from_sequences([_random.integers(1, ITEMS + 1, length).tolist() for length in _lengths])
COUNTS = torch.from_numpy(np.bincount(HISTORIES.items, minlength=ITEMS + 1))
TABLES = [random_table("alpha", 80, 12), random_table("beta", 60, 8)]


def build(backbone: str = "sasrec", fusion: str | None = None) -> SequentialModel:
    torch.manual_seed(0)
    entry = BACKBONES.get(backbone)
    encoder = entry.cls(entry.config(name=backbone, hidden=16, max_length=LENGTH, dropout=0.3))
    if fusion is None:
        return SequentialModel(ITEMS, encoder)
    plugged = FUSIONS.get(fusion)
    config = plugged.config.model_validate({"name": fusion, "filter": {"shortlist": 32, "noise_steps": 18}})
    return SequentialModel(ITEMS, encoder, plugged.cls(config, FusionInputs(16, encoder.is_causal, TABLES, seed=3)))


def make_loss(name: str = "cross_entropy"):
    entry = LOSSES.get(name)
    return entry.cls(entry.config(name=name), COUNTS)


def trained(
    model: SequentialModel, loss: str, config: TrainingConfig, replay: bool
) -> tuple[list[float], CapturedStep]:
    """Return the losses of some steps, and what did them."""
    training_loss, device = TrainingLoss(model, make_loss(loss)).train(), torch.device("cuda")
    assert can_capture(training_loss, config, device)
    step = OptimizationStep(training_loss, config, device, capturable=True)
    captured = CapturedStep(step)
    samples, random = make_samples(config, model, HISTORIES), np.random.default_rng(1)
    torch.manual_seed(2)
    losses: list[Tensor] = []
    for number in range(STEPS):
        step.set_learning_rate(1e-4 * (1 + number))
        if model.fusion is not None:
            model.fusion.set_progress(number)
        chosen = np.argsort(samples.lengths(np.arange(len(samples))))[number % 3 * 40 :][:32]
        losses.append(captured(samples.batch(chosen, random), replay=replay).clone())
    return torch.stack(losses).tolist(), captured


@pytest.mark.parametrize("samples", ["prefixes", "positions"])
@pytest.mark.parametrize(
    ("backbone", "loss", "fusion", "precision"),
    [(name, "cross_entropy", None, "32") for name in BACKBONES.names()]
    + [("sasrec", name, None, "32") for name in LOSSES.names()]
    + [("sasrec", "bce", "mltfr", "32"), ("bert4rec", "cross_entropy", "mltfr", "32")]
    + [("sasrec", "cross_entropy", "mltfr", "bf16")],
)
def test_replayed_steps_train_as_others_do(backbone: str, loss: str, fusion: str, precision: str, samples: str) -> None:
    config = TrainingConfig(samples=samples, precision=precision)
    if not build(backbone).backbone.is_causal and samples == "positions" and build(backbone).mask_token is None:
        pytest.skip("a bidirectional backbone")
    expected, plain = trained(build(backbone, fusion), loss, config, replay=False)
    found, replayed = trained(build(backbone, fusion), loss, config, replay=True)
    assert not plain.captured
    assert sum(each is not None for each in replayed.captured.values()) >= 1
    tolerance = 2e-2 if precision == "bf16" else 2e-3
    assert found == pytest.approx(expected, rel=tolerance)  # the order of sums on a GPU is not always the same
    assert len(set(found)) == len(found)


def run(config: TrainingConfig, **more):
    score = iter(range(100))
    return train(
        lambda: build("sasrec", "mltfr"), make_loss(), HISTORIES, lambda model: {"ndcg@10": next(score), "hr@10": 0.0},
        config, seed=4, **more,
    )  # fmt: skip


def test_two_rounds_are_trained_and_logged() -> None:
    config = TrainingConfig(samples="positions", epochs=3, first_round_epochs=2, batch_size=16, device="cuda")
    with_graphs = run(config)
    without = run(config.model_copy(update={"advanced": AdvancedTrainingConfig(cuda_graphs=False)}))
    assert [r["round"] for r in with_graphs.history] == [1, 1, 2, 2, 2]
    for one, other in zip(with_graphs.history, without.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.2)  # other random numbers: batches are padded
        assert one.keys() == other.keys()
        assert sum(one["router_share"].values()) == pytest.approx(1, abs=1e-3)
    assert with_graphs.history[-1]["loss"] < with_graphs.history[2]["loss"]


def test_an_interrupted_training_goes_on(tmp_path) -> None:
    callback = StopAt(4, epoch=2)
    advanced = AdvancedTrainingConfig(checkpoint_seconds=1e9)
    config = TrainingConfig(samples="positions", epochs=3, batch_size=16, device="cuda", advanced=advanced)
    straight = run(config)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted):
        run(config, checkpoints=checkpoints, callback=callback, stop=callback.stop)
    resumed = run(config, checkpoints=checkpoints, checkpoint=load_checkpoint(checkpoints, ""))
    for one, other in zip(straight.history, resumed.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
