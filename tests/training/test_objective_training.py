"""Training with an objective: what it changes, what it leaves alone, and that it resumes to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr.errors import ConfigError
from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.interactions import Histories
from mltfr.model import SequentialModel
from mltfr.pipeline import resolve
from mltfr.pipeline.build import build_loss, build_model, build_objective
from mltfr.testing.toy import random_table
from mltfr.training import Checkpoints, Interrupted, load_checkpoint, train
from mltfr.training.merge import merge_experts
from mltfr.training.samples import make_samples
from mltfr.training.step import TrainingLoss
from support.stopping import StopAt

ITEMS = 12
HISTORIES = Histories.from_sequences([[(s + n * (1 + s % 2)) % ITEMS + 1 for n in range(2 + s % 7)] for s in range(40)])
COUNTS = np.bincount(HISTORIES.items, minlength=ITEMS + 1)
SMALL = ("backbone.hidden=16", "backbone.max_length=6", "training.batch_size=20", "training.device=cpu",
         "backbone.dropout=0.1")  # fmt: skip
KINDS = ("cl4srec", "duorec")


def settings(backbone, *overrides, epochs=3):
    return resolve(backbone=backbone, fusion="none", epochs=epochs, overrides=[*SMALL, *overrides])


def run(config, tables=(), **more):
    scores = iter(np.linspace(0.1, 0.9, 50))
    return train(
        lambda: build_model(config, ITEMS, tables),
        build_loss(config, COUNTS),
        HISTORIES,
        lambda model: {"ndcg@10": next(scores), "hr@10": 0.0},
        config.training,
        seed=config.seed,
        objective=build_objective(config, ITEMS),
        **more,
    )


def weights(trained):
    return trained.model.state_dict()


@pytest.mark.parametrize("samples", ["prefixes", "positions"])
@pytest.mark.parametrize("backbone", KINDS)
def test_the_same_seed_gives_the_same_bits_and_the_contrast_changes_them(backbone, samples):
    config = settings(backbone, f"training.samples={samples}", epochs=2)
    first, again = run(config), run(config)
    plain = run(settings("sasrec", f"training.samples={samples}", epochs=2))
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(first).items())
    assert first.history[0]["loss"] > plain.history[0]["loss"]
    embeddings = [weights(model)["item_embedding.weight"][: ITEMS + 1] for model in (first, plain)]
    assert not torch.equal(*embeddings)


@pytest.mark.parametrize("backbone", KINDS)
def test_without_weight_it_trains_as_sasrec_does_to_the_bit(backbone):
    with_objective = weights(run(settings(backbone, "objective.weight=0")))
    for name, value in weights(run(settings("sasrec"))).items():
        assert torch.equal(with_objective[name][: len(value)], value), name


@pytest.mark.parametrize("backbone", KINDS)
def test_interrupted_and_resumed_it_ends_with_the_same_bits(tmp_path, backbone):
    callback = StopAt(3, epoch=2)
    config = settings(backbone)
    straight = run(config)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted):
        run(config, checkpoints=checkpoints, callback=callback, stop=callback.stop)
    resumed = run(config, checkpoints=checkpoints, checkpoint=load_checkpoint(checkpoints, ""))
    for name, value in weights(straight).items():
        assert torch.equal(value, weights(resumed)[name]), name
    assert [r["loss"] for r in straight.history] == [r["loss"] for r in resumed.history]


@pytest.mark.parametrize("backbone", KINDS)
def test_it_learns(backbone):
    config = settings(backbone, "training.learning_rate=0.01", "training.samples=positions", epochs=12)
    losses = [record["loss"] for record in run(config).history]
    assert losses[-1] < 0.75 * losses[0]


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_fusion_with_two_rounds_takes_part(precision):
    config = resolve(
        backbone="cl4srec",
        tokens=["a", "b"],
        epochs=1,
        overrides=[*SMALL, "fusion.filter.keep=2", "fusion.filter.shortlist=8", f"training.precision='{precision}'"],
    )
    trained = run(config, [random_table("a"), random_table("b", 40)])
    assert trained.rounds == 2
    assert all(np.isfinite(record["loss"]) for record in trained.history)
    assert all(value.isfinite().all() for value in weights(trained).values())


def test_the_fisher_information_is_that_of_the_training_loss_alone(monkeypatch):
    entry = FUSIONS.get("mltfr")
    inputs = FusionInputs(16, True, [random_table("a"), random_table("b", 40)], seed=1)
    config = settings("cl4srec")
    bare = build_model(config, ITEMS, [])
    model = SequentialModel(ITEMS, bare.backbone, entry.cls(entry.config(), inputs), hides_items=True).eval()
    samples = make_samples(config.training, model, HISTORIES)
    steps = []
    monkeypatch.setattr(
        "mltfr.training.merge.TrainingLoss", lambda *parts: steps.append(TrainingLoss(*parts)) or steps[-1]
    )
    with torch.no_grad():
        batch = samples.batch(np.arange(20), np.random.default_rng(0))
        model.fusion.refresh([model.fusion_inputs(batch.items)])
    merge_experts(model, build_loss(config, COUNTS), samples, config.training, 0, epochs=1)
    assert [step.objective for step in steps] == [None]


@pytest.mark.parametrize("objective", KINDS)
def test_a_backbone_that_is_read_at_a_mask_has_no_contrast(objective):
    config = settings("bert4rec", f"objective.name={objective}")
    with pytest.raises(ConfigError, match=f"objective '{objective}' contrasts .* 'bert4rec' is not causal or is read"):
        build_model(config, ITEMS, [])
    plain = settings("bert4rec")
    with pytest.raises(ConfigError, match="needs sequences with an item that follows"):
        train(
            lambda: build_model(plain, ITEMS, []),
            build_loss(plain, COUNTS),
            HISTORIES,
            lambda model: {},
            plain.training,
            seed=0,
            objective=build_objective(config, ITEMS),
        )
