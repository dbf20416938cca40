"""A baseline in the backbone's place: which settings result, and what cannot be combined."""

from __future__ import annotations

import tomllib
from threading import Event

import polars as pl
import pytest

from mltfr.baselines import BASELINES
from mltfr.config import dump_toml
from mltfr.errors import ConfigError
from mltfr.interactions import load_interactions
from mltfr.pipeline import fit, resolve
from mltfr.pipeline.build import build_model
from mltfr.training import Interrupted


@pytest.mark.parametrize("name", BASELINES.names())
def test_a_baseline_resolves_without_fusion_and_to_itself(name):
    named = {"names": {"file": "ids"}} if BASELINES.get(name).cls.reads_names else {}
    config = resolve(file=named, backbone=name)
    assert (config.backbone.name, config.fusion.name, config.tokens.tables) == (name, "none", ())
    assert resolve(file=tomllib.loads(dump_toml(config))) == config
    assert resolve(file={"backbone": {"name": name}, **named}) == config
    assert resolve(file=named, overrides=[f"backbone={name}"]) == config
    assert resolve(file={"backbone": name, "tokens": {"tables": ["a"]}, **named}) == config  # nothing reads them
    assert (config.loss, config.training) == (resolve().loss, resolve().training)


def test_its_settings_come_from_everywhere():
    file = {"backbone": {"name": "item-knn", "shrinkage": 3.0, "neighbours": 7}}
    backbone = resolve(file=file, backbone="item-knn", overrides=["backbone.neighbours=9"]).backbone
    assert (backbone.shrinkage, backbone.neighbours) == (3.0, 9)


@pytest.mark.parametrize("given", [{"fusion": "mltfr"}, {"file": {"fusion": {"consensus_weight": 0.1}}}])
def test_a_fusion_with_a_baseline_is_refused(given):
    with pytest.raises(ConfigError, match=r"backbone 'ease' is a baseline .* fusion 'mltfr' cannot .* 'sasrec'"):
        resolve(backbone="ease", **given)
    assert resolve(backbone="ease", fusion="none") == resolve(backbone="ease")


def test_tables_with_a_baseline_are_refused():
    with pytest.raises(ConfigError, match="so token tables cannot be used with it"):
        resolve(backbone="ease", tokens=["smollm2-135m"])
    assert resolve(backbone="ease", tokens=[]) == resolve(backbone="ease")


def test_names_are_needed_where_a_baseline_is_made_of_them_and_refused_elsewhere():
    with pytest.raises(ConfigError, match=r"'name-knn' is made of the names of items, and none .* --item-names FILE"):
        resolve(backbone="name-knn")
    with pytest.raises(ConfigError, match="none are given"):
        resolve(backbone="name-knn", item_names="ids", overrides=["names.use=none"])
    with pytest.raises(ConfigError, match=r"'name-knn' keeps nothing of items that training .* Leave out --new-items"):
        resolve(backbone="name-knn", item_names="names.csv", new_items=True)
    with pytest.raises(ConfigError, match="so item names cannot be used with it"):
        resolve(backbone="ease", item_names="ids")
    with pytest.raises(ConfigError, match="so token tables cannot be used with it"):
        resolve(backbone="name-knn", item_names="ids", tokens=["smollm2-135m"])


def test_names_of_both_kinds_are_suggested():
    with pytest.raises(ConfigError, match=r"Unknown backbone 'popularty'\. Did you mean 'popularity'\?.*sasrec"):
        resolve(backbone="popularty")
    with pytest.raises(ConfigError, match="backbone 'ease' is a baseline: it has no network to build"):
        build_model(resolve(backbone="ease"), 5, [])


def test_a_request_to_stop_ends_a_fit_without_a_trace(tmp_path):
    rows = [(f"u{user}", f"i{(user + step) % 6}") for user in range(8) for step in range(4)]
    log = load_interactions(pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row"))
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        fit(resolve(backbone="markov"), log, tmp_path / "run", stop=stop)
    assert not (tmp_path / "run").exists()
    fit(resolve(backbone="markov"), log, tmp_path / "run", resume=True)
    assert (tmp_path / "run/manifest.json").exists()
