"""What `training.samples = "auto"` comes to on a log."""

from __future__ import annotations

import numpy as np
import pytest

from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline.auto import mean_prefix
from mltfr.pipeline.fit import fit
from mltfr.pipeline.inputs import split_log
from mltfr.pipeline.presets import resolve
from mltfr.training import Callback

SMALL = ("backbone.hidden=8", "training.epochs=1", "training.device=cpu")


def log(mean_length):
    return synthetic(SyntheticConfig(users=20, items=30, mean_length=mean_length), seed=1).log


def chosen(interactions, *overrides, fusion="none", **flags):
    config, _, _ = split_log(resolve(fusion=fusion, overrides=overrides, **flags), interactions)
    return config.training.samples, config.training.batch_size


@pytest.mark.parametrize("max_length", [1, 4, 50])
def test_the_mean_prefix_is_that_of_all_prefixes(max_length):
    lengths = np.array([0, 1, 2, 7, 30])
    read = [min(prefix, max_length) for length in lengths for prefix in range(1, length)]
    assert mean_prefix(lengths, max_length) == pytest.approx(np.mean(read))
    assert mean_prefix(np.array([1, 1]), max_length) == 0


def test_short_histories_are_trained_on_prefixes_and_long_ones_on_windows_with_as_many_targets():
    assert chosen(log(10)) == ("prefixes", 256)
    assert chosen(log(70)) == ("windows", 32)
    assert chosen(log(70), "training.batch_size=64", "training.advanced.window_targets=4") == ("windows", 16)
    assert chosen(log(70), "backbone.max_length=10") == ("prefixes", 256)


def test_what_is_asked_for_is_taken():
    assert chosen(log(70), "training.samples=prefixes") == ("prefixes", 256)
    assert chosen(log(10), "training.samples=windows") == ("windows", 256)


@pytest.mark.parametrize(
    ("backbone", "fusion", "overrides"),
    [
        ("bsarec", "none", ()),
        ("sasrec", "mltfr", ("fusion.filter.granularity=sequence",)),
        ("sasrec", "mltfr-reference", ()),
    ],
)
def test_what_would_see_its_targets_is_trained_on_prefixes(backbone, fusion, overrides):
    assert chosen(log(70), *overrides, backbone=backbone, fusion=fusion) == ("prefixes", 256)


def test_a_run_says_what_it_came_to_and_is_repeated_by_it(tmp_path):
    config, interactions = resolve(fusion="none", overrides=SMALL), log(70)
    fitted = fit(config, interactions, tmp_path / "run", callback=Callback())
    assert (fitted.config.training.samples, fitted.config.training.batch_size) == ("windows", 32)
    again = fit(fitted.config, interactions, callback=Callback())
    assert again.history[-1]["validation"] == fitted.history[-1]["validation"]
    assert fit(config, interactions, tmp_path / "run", resume=True).config == fitted.config  # the same settings
