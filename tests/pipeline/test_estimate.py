"""The estimate of memory and time, against what a process really takes, and the refusal where it does not fit."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from mltfr.config import Config
from mltfr.errors import ConfigError, RunError
from mltfr.interactions import split
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.losses import LOSSES
from mltfr.pipeline import estimate as module
from mltfr.pipeline import fit, resolve
from mltfr.pipeline.estimate import estimate, readable, with_time
from mltfr.pipeline.footprint import footprint
from mltfr.pipeline.remedies import changes, require_memory
from mltfr.recommender import Recommender
from mltfr.training.activations import loss_bytes, saved_bytes

LOG = synthetic(SyntheticConfig(users=60, items=40), seed=1).log


def settings(*overrides, backbone="sasrec"):
    return resolve(backbone=backbone, fusion="none", overrides=list(overrides))


def found(*overrides, backbone="sasrec", log=LOG):
    config = settings(*overrides, backbone=backbone)
    return estimate(config, split(log, config.split)), config


def test_saved_bytes_counts_each_storage_once():
    weight = torch.zeros(8, 8, requires_grad=True)
    x = torch.zeros(5, 8, requires_grad=True)
    own = {weight.untyped_storage().data_ptr()}
    assert saved_bytes(lambda: x @ weight, own) == x.nbytes
    assert saved_bytes(lambda: x @ weight + x @ weight, own) == x.nbytes
    assert saved_bytes(lambda: (x @ weight).exp(), own) == 2 * x.nbytes  # its input and what exp keeps


@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec", "gru4rec", "cl4srec"])
def test_activations_are_those_of_the_whole_batch(backbone):
    """A few rows stand for all: the same count on the largest batch itself is as large (views vary)."""
    from mltfr.pipeline.build import build_model, build_objective
    from mltfr.training.samples import Views, make_samples
    from mltfr.training.step import TrainingStep

    guess, config = found("training.batch_size=32", "loss.name=bce", backbone=backbone)
    data = split(LOG, config.split)
    model = build_model(config, guess.sizes.items, [])
    objective = build_objective(config, guess.sizes.items)
    samples = make_samples(config.training, model, data.train_histories())
    chosen, _ = module._largest_batch(samples, config)
    random = np.random.default_rng(0)
    batch = Views(objective, samples).add(samples.batch(chosen, random), chosen, random)
    step = TrainingStep(model, LOSSES.get("bce").cls(config.loss, torch.ones(41)), objective).train()
    own = {t.untyped_storage().data_ptr() for t in (*step.parameters(), *step.buffers())}

    def forward():
        hidden = model.encode(batch.items, batch.targets.shape[1])
        return hidden if objective is None else hidden.sum() + objective.term(model, hidden[:, -1], batch.views)

    assert guess.sizes.encoder == pytest.approx(saved_bytes(forward, own), rel=0.1)


def test_parts_follow_the_catalogue():
    parts, _ = found("backbone.hidden=32")
    sizes = parts.sizes
    assert parts.parts["item vectors"] == 4 * (sizes.items + 1) * 32
    assert parts.parts["optimiser"] == 2 * (parts.parts["item vectors"] + parts.parts["other weights"])
    assert parts.parts["best weights"] == parts.parts["item vectors"] + parts.parts["other weights"]
    assert parts.peak == parts.in_use + sum(parts.parts.values())
    dense, sparse = (
        footprint(module.replace(sizes, items=10**7, full_loss=False, sparse=kind)) for kind in (False, True)
    )
    assert dense["gradients"] > 2 * 4 * 32 * 10**7 > 100 * sparse["gradients"]


def test_full_losses_hold_scores_and_sampled_ones_do_not():
    losses = {name: LOSSES.get(name).cls(LOSSES.get(name).config(name=name), torch.ones(1001)) for name in
              ("cross_entropy", "sampled_softmax", "bce")}
    assert loss_bytes(losses["cross_entropy"], 500, 1000, 8) == 4 * 64 * 1000
    assert loss_bytes(losses["cross_entropy"], 10, 1000, 8) == 4 * 10 * 1000
    for name in ("sampled_softmax", "bce"):
        sizes = [loss_bytes(losses[name], positions, 1000, 8) for positions in (100, 200)]
        assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.2)
        assert sizes == [loss_bytes(losses[name], positions, 10**9, 8) for positions in (100, 200)]


PROCESS = """
import json, sys, torch
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline import fit, resolve
log = synthetic(SyntheticConfig(users=1500, items=40000, topics=10, mean_length=30, skew=0.0, follow=0.0), seed=1).log
settings = ["training.samples=positions", "training.batch_size=500", "backbone.blocks=1", *sys.argv[1:]]
config = resolve(backbone="sasrec", fusion="none", epochs=1, overrides=settings)
fitted = fit(config, log, measure=lambda fitted, run: {})
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
estimate, items = fitted.facts["estimate"]["peak_bytes"], len(fitted.split.vocabulary)
print(json.dumps({"peak": peak, "estimate": estimate, "items": items}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    "overrides",
    [
        ["loss.name=sampled_softmax", "backbone.hidden=256", "backbone.max_length=20"],
        ["loss.name=sampled_softmax", "backbone.hidden=256", "training.item_updates=sparse", "backbone.max_length=20"],
    ],
)
def test_a_process_takes_what_was_estimated(overrides):
    overrides = [*overrides, "training.validation_examples=200"]
    done = subprocess.run([sys.executable, "-c", PROCESS, *overrides], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["items"] > 20_000
    assert measured["estimate"] == pytest.approx(measured["peak"], rel=0.25)


def test_training_that_does_not_fit_is_refused_with_remedies(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "available_memory", lambda: 1_000_000)
    built = []
    monkeypatch.setattr(sys.modules["mltfr.pipeline.fit"], "train", lambda *args, **more: built.append(1))
    with pytest.raises(ConfigError, match="more memory, and 1 MB are free; most goes to: ") as error:
        fit(settings(), LOG, tmp_path / "run")
    assert "training.check_memory=false" in str(error.value)
    assert not built
    assert not (tmp_path / "run").exists()


def test_the_check_can_be_turned_off(monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: 1_000_000)
    fitted = fit(settings("training.check_memory=false", "training.epochs=1"), LOG)
    assert fitted.facts["estimate"]["peak_bytes"] > 1_000_000
    assert json.dumps(fitted.facts["estimate"])


def test_every_remedy_needs_less_and_the_order_is_fixed():
    guess, config = found("training.batch_size=64", "loss.name=cross_entropy", "loss.chunk=512")
    large = module.replace(guess.sizes, items=10**6, loss=4 * 512 * 10**6)
    counts = np.array([0, *[9] * 10**5, *[1] * (9 * 10**5)])
    named = {what: sum(footprint(sizes).values()) for what, sizes in changes(large, config, counts)}
    assert list(named) == [
        "--set loss.name=sampled_softmax",
        "--set loss.name=cross_entropy --set loss.chunk=8",
        "--set training.batch_size=16",
        "--set backbone.hidden=32",
        "--set filters.min_item_interactions=5",
    ]
    assert all(size < sum(footprint(large).values()) for size in named.values())
    for text in named:  # what is named can be set
        assert isinstance(resolve(fusion="none", overrides=text.removeprefix("--set ").split(" --set ")), Config)
    tight = module.replace(guess, sizes=large, parts=footprint(large), available=10**9)
    with pytest.raises(ConfigError, match=r"1.0 GB are free; .* 1,000,000 items\).*sampled_softmax \(1.\d GB"):
        require_memory(tight, config, counts)
    require_memory(module.replace(tight, available=None), config, counts)
    require_memory(module.replace(tight, available=10**11), config, counts)


def test_a_long_epoch_is_timed_and_nothing_random_is_used_up(monkeypatch):
    monkeypatch.setattr(module, "LONG_EPOCH", 100)
    guess, config = found("training.batch_size=4", "loss.name=sampled_softmax")
    data = split(LOG, config.split)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    timed = with_time(estimate(config, data), config, data)
    assert torch.equal(before, torch.get_rng_state())
    assert guess.batches >= module.LONG_EPOCH
    assert timed.seconds > 0
    assert "s an epoch without validation" in str(timed)
    short, config = found("training.batch_size=512")
    assert with_time(short, config, data).seconds is None


def test_sizes_read_well():
    assert [readable(size) for size in (512_000, 12_000_000, 2_345_000_000)] == ["1 MB", "12 MB", "2.3 GB"]


def test_the_public_object_estimates_without_fitting():
    recommender = Recommender(fusion="none", settings=["training.batch_size=16"])
    assert recommender.estimate(LOG).parts == found("training.batch_size=16")[0].parts
    with pytest.raises(RunError, match="not fitted yet"):
        recommender.fitted  # noqa: B018
    with pytest.raises(ConfigError, match="'popularity' is fitted in one pass"):
        Recommender("popularity").estimate(LOG)
