"""What `training.samples = "auto"` comes to on a log."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender, prepare
from mltfr.errors import ConfigError
from mltfr.interactions import load_interactions
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline.auto import mean_prefix
from mltfr.pipeline.fit import fit
from mltfr.pipeline.inputs import split_log
from mltfr.pipeline.presets import resolve
from mltfr.training import Callback, Interrupted
from support.stopping import StopAt

SMALL = ("backbone.hidden=8", "training.epochs=1", "training.device=cpu")


def log(mean_length):
    return synthetic(SyntheticConfig(users=20, items=30, mean_length=mean_length), seed=1).log


def chosen(interactions, *overrides, fusion="none", **flags):
    config, _, _ = split_log(resolve(fusion=fusion, overrides=overrides, **flags), interactions)
    return config.training.samples, config.training.samples_of_a_batch


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
    assert chosen(log(70), "training.batch_size=4") == ("windows", 1)
    assert chosen(log(70), "backbone.max_length=10") == ("prefixes", 256)


def test_an_empty_prefix_is_a_prefix():
    assert chosen(log(70), "training.empty_prefix=true") == ("prefixes", 256)
    with pytest.raises(ConfigError, match="empty_prefix needs samples = 'prefixes', and samples is 'positions'"):
        resolve(overrides=["training.empty_prefix=true", "training.samples=positions"])


@pytest.mark.parametrize(("backbone", "said"), [("bert4rec", "nothing to mask"), ("duorec", "nothing to contrast")])
def test_who_cannot_be_trained_on_an_empty_prefix_says_so(backbone, said):
    config = resolve(backbone=backbone, fusion="none", overrides=[*SMALL, "training.empty_prefix=true"])
    with pytest.raises(ConfigError, match=rf"no item, in which there is {said}\. Set it to false"):
        fit(config, log(5))


@pytest.mark.parametrize("backbone", ["bsarec", "fmlp-rec", "linrec", "sasrec", "gru4rec", "hstu", "ligr"])
def test_every_backbone_trains_on_empty_prefixes(backbone):
    config = resolve(backbone=backbone, fusion="none", overrides=[*SMALL, "training.empty_prefix=true"])
    fitted = fit(config, log(5), measure=lambda fitted, run: {})
    assert all(parameter.isfinite().all() for parameter in fitted.model.parameters())


def test_what_is_asked_for_is_taken():
    assert chosen(log(70), "training.samples=prefixes") == ("prefixes", 256)
    assert chosen(log(10), "training.samples=windows") == ("windows", 32)


@pytest.mark.parametrize(
    ("backbone", "fusion", "overrides"),
    [
        ("bsarec", "none", ()),
        ("sasrec", "mltfr", ("fusion.filter.granularity=sequence",)),
        ("sasrec", "mltfr-reference", ()),
        ("duorec", "none", ()),
    ],
)
def test_what_would_see_its_targets_is_trained_on_prefixes(backbone, fusion, overrides):
    assert chosen(log(70), *overrides, backbone=backbone, fusion=fusion) == ("prefixes", 256)


def test_a_run_says_what_it_came_to_and_is_repeated_by_it(tmp_path):
    config, interactions = resolve(fusion="none", overrides=SMALL), log(70)
    fitted = fit(config, interactions, tmp_path / "run", callback=Callback())
    assert (fitted.config.training.samples, fitted.config.training.batch_size) == ("windows", 256)
    again = fit(fitted.config, interactions, callback=Callback())
    assert again.history[-1]["validation"] == fitted.history[-1]["validation"]
    assert fit(config, interactions, tmp_path / "run", resume=True).config == fitted.config  # the same settings


def test_nothing_is_chosen_where_items_are_masked():
    assert chosen(log(70), backbone="bert4rec") == ("auto", 256)


@pytest.mark.parametrize(("samples", "size"), [("prefixes", 256), ("positions", 256), ("windows", 64)])
def test_a_batch_of_masked_histories_is_divided_by_the_targets_of_windows_alone(samples, size):
    asked = (f"training.samples={samples}", "training.advanced.window_targets=4")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert chosen(log(70), *asked, backbone="bert4rec") == (samples, size)
    assert len(said) == (size == 256)  # what changes the batch is not told to have no meaning


def test_a_recommender_chooses_anew_for_another_log():
    recommender = Recommender(fusion="none", settings=SMALL)
    kinds = [recommender.fit(log(length), callback=Callback()).fitted.config.training.samples for length in (70, 10)]
    assert kinds == ["windows", "prefixes"]


def test_a_prepared_log_is_trained_as_the_log_itself(tmp_path):
    rows = [(f"u{user}", f"i{step * user % 30}", step) for user in range(1, 9) for step in range(70)]
    pl.DataFrame(rows, ["user_id", "item_id", "timestamp"], orient="row").write_csv(tmp_path / "log.csv")
    prepare(tmp_path / "log.csv", tmp_path / "prepared")
    assert chosen(load_interactions(tmp_path / "prepared")) == ("windows", 32)


def test_windows_resume_to_the_bit_within_an_epoch(tmp_path):
    config = resolve(fusion="none", overrides=(*SMALL, "training.epochs=2", "training.advanced.checkpoint_seconds=0"))
    whole = fit(config, log(70), callback=Callback())
    callback = StopAt(3)
    with pytest.raises(Interrupted):
        fit(config, log(70), tmp_path / "run", callback=callback, stop=callback.stop)
    resumed = fit(config, log(70), tmp_path / "run", resume=True, callback=Callback())
    assert resumed.config.training.samples == "windows"
    ours, theirs = resumed.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("samples", ["prefixes", "windows", "positions"])
def test_the_kind_of_samples_is_told(samples):
    told = []

    class Told(Callback):
        def message(self, text):
            told.append(text)

    fit(resolve(fusion="none", overrides=(*SMALL, f"training.samples={samples}")), log(20), callback=Told())
    assert [text for text in told if f"(training.samples={samples})" in text and text.startswith("training on ")]
