"""Fitting a prepared set is fitting its file."""

from __future__ import annotations

import json

import pytest

from mltfr import Recommender, load_interactions
from mltfr.errors import ConfigError
from mltfr.interactions import FilterConfig, SplitConfig, prepare
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline import data
from mltfr.training import Callback

SMALL = ["backbone.hidden=16", "backbone.max_length=10", "training.batch_size=64"]
FACTS = ("data_fingerprint", "filters", "split", "left_out", "source", "best_epoch", "parameters", "seed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    synthetic(SyntheticConfig(users=200, items=80), seed=4).log.frame.write_csv(folder / "log.csv")
    prepare(folder / "log.csv", folder / "set", filters=FilterConfig(core=3), split=SplitConfig(), memory=20_000)
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {"backbone": "sasrec", "settings": SMALL},
        {"backbone": "sasrec", "settings": [*SMALL, "training.samples=positions"]},
        {"backbone": "duorec", "settings": SMALL},
        {"backbone": "bert4rec", "settings": SMALL},
        {"backbone": "item-knn"},
    ],
    ids=["prefixes", "positions", "objective", "masked", "baseline"],
)
def test_a_prepared_set_gives_the_run_of_its_file(tmp_path, folder, settings):
    epochs = {} if settings["backbone"] == "item-knn" else {"fusion": "none", "tokens": [], "epochs": 2}
    asked = [*settings.get("settings", []), "filters.core=3"]
    for name, source, more in (("file", "log.csv", asked), ("set", "set", settings.get("settings", []))):
        recommender = Recommender(**{**settings, "settings": more}, **epochs)
        recommender.fit(load_interactions(folder / source), tmp_path / name, callback=Callback())
        assert recommender.fitted.config.filters.core == 3
    for name in ("weights.safetensors", "metrics.json", "config.toml", "histories.parquet", "items.parquet",
                 "examples.parquet"):  # fmt: skip
        first, second = ((tmp_path / run / name).read_bytes() for run in ("file", "set"))
        if name == "metrics.json":
            first, second = first.replace(b'"run": "file"', b""), second.replace(b'"run": "set"', b"")
        assert first == second, name
    manifests = [json.loads((tmp_path / run / "manifest.json").read_text()) for run in ("file", "set")]
    facts = [{key: manifest.get(key) for key in FACTS} for manifest in manifests]
    assert facts[0] == facts[1]
    assert Recommender.load(tmp_path / "set").recommend(k=3).equals(Recommender.load(tmp_path / "file").recommend(k=3))


def test_other_settings_than_the_sets_are_refused(folder):
    log = load_interactions(folder / "set")
    for setting, message in (
        ("filters.core=5", r"filters.core is 5, but .*set was prepared with 3. Leave the setting out, or prepare"),
        ("split.method=global-time", r"split.method is 'global-time', but .*set was prepared with 'auto'"),
    ):
        recommender = Recommender(backbone="popularity", settings=[setting])
        with pytest.raises(ConfigError, match=message):
            recommender.fit(log, callback=Callback())
    Recommender(backbone="popularity", settings=["filters.core=3"]).fit(log, callback=Callback())


def test_a_path_is_enough(folder):
    recommender = Recommender(backbone="popularity").fit(folder / "set", callback=Callback())
    assert recommender.fitted.facts["filters"][1]["name"] == "core"


@pytest.mark.parametrize("piece", [1, 7, 50, 10_000])
def test_histories_are_saved_in_pieces(tmp_path, folder, monkeypatch, piece):
    split = load_interactions(folder / "set").split
    data.save_split(tmp_path, split)
    whole = data.load_split(tmp_path, split.method, {})
    monkeypatch.setattr(data, "PIECE", piece)
    data.save_split(tmp_path, split)
    pieces = data.load_split(tmp_path, split.method, {})
    assert [h.tolist() for h in pieces.histories] == [h.tolist() for h in whole.histories] == [
        h.tolist() for h in split.histories
    ]  # fmt: skip
    assert pieces.user_ids == whole.user_ids
    assert pieces.train_length.tolist() == whole.train_length.tolist()
    assert {path.name for path in tmp_path.iterdir()} == {"examples.parquet", "histories.parquet", "items.parquet"}
