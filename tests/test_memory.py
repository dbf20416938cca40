"""The memory estimate and its suggestions, the refusal of what does not fit, and an error where memory runs out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mltfr import memory
from mltfr.config import Config
from mltfr.errors import ConfigError
from mltfr.interactions import split
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.memory import TrainingMemory, explain_out_of_memory
from mltfr.pipeline import fit, resolve
from mltfr.pipeline.build import training_memory
from mltfr.recommender import Recommender
from mltfr.storage.main_memory import readable

LOG = synthetic(SyntheticConfig(users=60, items=40), seed=1).log
LARGE = TrainingMemory(
    items=1_000_000,
    hidden=64,
    blocks=2,
    batch_size=64,
    positions=64 * 50,
    targets=64 * 50,
    negatives=None,
    shared_negatives=False,
    chunk=512,
    sparse=False,
    can_be_sparse=True,
    frequent_items=100_000,
    device=torch.device("cpu"),
)


def settings(*overrides, backbone="sasrec"):
    return resolve(backbone=backbone, fusion="none", overrides=list(overrides))


def found(*overrides, backbone="sasrec"):
    config = settings(*overrides, backbone=backbone)
    return training_memory(config, split(LOG, config.split))


def test_parts_follow_the_catalogue():
    estimate = found("backbone.hidden=32")
    table = 4 * (estimate.items + 1) * 32
    assert estimate.parts["item embedding"] == estimate.parts["best weights"] == table
    assert estimate.parts["optimiser"] == 2 * table
    assert estimate.needed == sum(estimate.parts.values())
    assert estimate.peak > estimate.needed
    assert sum(LARGE.parts[part] for part in ("item embedding", "best weights", "optimiser")) == 4 * 4 * 64 * 1_000_001


def test_sizes_are_those_of_the_settings():
    prefixes, masked = found("training.batch_size=32"), found("training.batch_size=32", backbone="bert4rec")
    longest = int(split(LOG, settings().split).train_length.max())
    assert (prefixes.positions, prefixes.targets) == (32 * min(50, longest), 32)
    windows = found("training.batch_size=256", "training.samples=windows")
    assert (windows.positions, windows.targets, windows.batch_size) == (prefixes.positions, 32 * 8, 256)
    assert masked.targets == masked.positions == prefixes.positions
    assert (found("loss.name=bce", "loss.negatives=3").negatives, found().negatives) == (3, None)
    assert found(backbone="cl4srec").positions == 3 * found().positions
    assert found("filters.min_item_interactions=5").frequent_items == 0 < found().frequent_items


def test_what_changes_item_vectors_counts_by_the_rows_that_it_changes():
    bare, dropped = found("backbone.hidden=32"), found("backbone.hidden=32", "backbone.item_dropout=0.5")
    cosine = found("backbone.hidden=32", "backbone.similarity=cosine")
    assert 0 == bare.item_copies < dropped.item_copies < cosine.item_copies
    large = replace(LARGE, item_copies=60)
    assert large.needed - LARGE.needed == 4 * 60 * 64 * 1_000_000
    few = replace(large, negatives=512, shared_negatives=True, by_lookup=True)
    assert 0 < few.needed - replace(few, item_copies=0).needed < 4 * 60 * 64 * 10_000

    def at(site, *more):
        config = resolve(tokens=["a", "b"], overrides=[f"fusion.site={site}", *more])
        return training_memory(config, split(LOG, config.split))

    assert (at(0).item_copies, at("items").item_copies) == (0, 2 * memory.CORRECTED)
    assert not at("items").by_lookup
    assert at("items", "loss.name=bce").by_lookup


def test_sparse_updates_hold_no_gradient_of_the_table_and_chunks_few_logits():
    dense = replace(LARGE, items=10**7, negatives=1)
    assert dense.needed - replace(dense, sparse=True).needed > 4 * 64 * 10**7
    assert LARGE.needed < replace(LARGE, chunk=10**6).needed
    own, shared = replace(LARGE, negatives=512), replace(LARGE, negatives=512, shared_negatives=True)
    assert own.needed - shared.needed > 1_000_000_000  # each position looks its own up
    few = replace(own, items=20_000)
    once = replace(few, looks_up_once=True)
    assert few.needed - once.needed > 1_000_000_000  # only scores and places are each position's own
    assert replace(once, shared_negatives=True).needed == replace(few, shared_negatives=True).needed
    softmax = ("loss.name=sampled_softmax", "loss.negatives=32")
    assert found(*softmax, "loss.shared=false").looks_up_once
    for other in ("loss.negatives=31", "training.precision=bf16"):
        assert not found(*softmax, "loss.shared=false", other).looks_up_once
    assert (found(*softmax).shared_negatives, found(*softmax, "loss.shared=false").shared_negatives) == (True, False)
    assert "--set loss.name=sampled_softmax --set loss.shared=true" in dict(own.suggestions())
    assert not [setting for setting, _ in shared.suggestions() if "loss.shared" in setting]


def test_every_suggestion_needs_less_and_the_order_is_fixed(monkeypatch):
    named = {setting: smaller.needed for setting, smaller in LARGE.suggestions()}
    assert list(named) == [
        "--set loss.name=sampled_softmax",
        "--set loss.name=cross_entropy --set loss.chunk=8",
        "--set training.batch_size=16",
        "--set backbone.hidden=32",
        "--set filters.min_item_interactions=5",
    ]
    assert all(size <= LARGE.needed for size in named.values())
    for text in named:  # what is named can be set
        assert isinstance(resolve(fusion="none", overrides=text.removeprefix("--set ").split(" --set ")), Config)
    sampled = replace(LARGE, negatives=1)
    assert next(sampled.suggestions())[0] == "--set training.advanced.item_updates=sparse"
    monkeypatch.setattr(memory, "available_memory", lambda: 10**9)
    with pytest.raises(ConfigError, match=r"1.0 GB are available, for 1,000,000 items\. .*sampled_softmax \(1.\d GB"):
        LARGE.require()
    monkeypatch.setattr(memory, "available_memory", lambda: 10**11)
    LARGE.require()
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    LARGE.require()


PROCESS = """
import json, sys
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline import fit, resolve
log = synthetic(SyntheticConfig(users=1500, items=40000, topics=10, mean_length=30, skew=0.0, follow=0.0), seed=1).log
settings = ["training.samples=positions", "training.batch_size=500", "backbone.blocks=1", *sys.argv[1:]]
config = resolve(backbone="sasrec", fusion="none", epochs=1, overrides=settings)
fitted = fit(config, log, measure=lambda fitted, run: {})
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"peak": peak, "estimate": fitted.facts["estimate"]["peak_bytes"]}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    "loss",
    [
        ("loss.name=sampled_softmax", "training.advanced.item_updates=dense"),
        ("loss.name=sampled_softmax", "training.advanced.item_updates=sparse"),
        ("loss.name=gbce", "loss.negatives=64"),
    ],
)
def test_a_process_takes_what_was_estimated(loss):
    overrides = [*loss, "backbone.hidden=256", "backbone.max_length=20", "training.validation_examples=200"]
    done = subprocess.run([sys.executable, "-c", PROCESS, *overrides], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["estimate"] == pytest.approx(measured["peak"], rel=0.4)


def test_training_that_does_not_fit_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000)
    built = []
    monkeypatch.setattr(sys.modules["mltfr.pipeline.estimators"], "train", lambda *args, **more: built.append(1))
    with pytest.raises(ConfigError, match=r"more memory, and 1 MB are available, for .* items") as error:
        fit(settings(), LOG, tmp_path / "run")
    assert "training.check_memory=false" in str(error.value)
    assert not built
    assert not (tmp_path / "run").exists()


def test_the_check_can_be_turned_off(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000)
    fitted = fit(settings("training.check_memory=false", "training.epochs=1"), LOG)
    assert fitted.facts["estimate"]["peak_bytes"] > 1_000_000
    assert json.dumps(fitted.facts["estimate"])


def numpy_array():
    np.ones(1 << 60, np.uint8)


def torch_tensor():
    torch.ones(1 << 60, dtype=torch.uint8)


def accelerator():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")


@pytest.mark.parametrize("allocate", [numpy_array, torch_tensor, accelerator])
def test_where_memory_runs_out_the_same_settings_are_named(allocate, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules["mltfr.pipeline.estimators"], "train", lambda *args, **more: allocate())
    with pytest.raises(ConfigError, match=r"memory ran out .*What would need less: .*--set ") as error:
        fit(settings("backbone.hidden=1024", "training.batch_size=4096"), LOG, tmp_path / "run")
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory(LARGE):
        raise RuntimeError("shapes do not match")
    with pytest.raises(ConfigError, match=r"memory ran out \(MemoryError\)"), explain_out_of_memory(None):
        raise MemoryError


def test_sizes_read_well():
    assert [readable(size) for size in (512_000, 12_000_000, 2_345_000_000)] == ["1 MB", "12 MB", "2.3 GB"]


def test_the_public_object_estimates_without_fitting():
    recommender = Recommender(fusion="none", settings=["training.batch_size=16"])
    assert recommender.estimate(LOG) == found("training.batch_size=16")
    with pytest.raises(ConfigError, match="'popularity' is fitted in one pass"):
        Recommender("popularity").estimate(LOG)
