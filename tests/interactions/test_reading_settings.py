"""How a log is read is part of a run: its settings read the file again."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from mltfr import Recommender
from mltfr.cli.data import app
from mltfr.cli.main import app as mltfr
from mltfr.errors import ConfigError, DataError
from mltfr.interactions import ReadingConfig, load_interactions, prepare
from mltfr.pipeline import resolve
from mltfr.pipeline.inputs import split_log
from mltfr.storage.progress import SILENT
from mltfr.study.config import StudyConfig
from mltfr.study.inputs import StudyInputs
from mltfr.study.plan import make_plan

TABLE = pl.DataFrame(
    {
        "who": [f"u{n // 10}" for n in range(60)],
        "artist": [f"a{(5 * n) % 7}" for n in range(60)],
        "track": [f"t{(3 * n) % 4}" for n in range(60)],
        "when": [f"0{1 + n % 3}/0{1 + n // 10}/2024 10:{n % 60:02d}" for n in range(60)],
    }
)
HOW = {"user_column": "who", "item_column": "artist,track", "timestamp_column": "when", "time_format": "%d/%m/%Y %H:%M"}
FLAGS = [part for name, value in HOW.items() for part in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture
def path(tmp_path):
    TABLE.write_csv(tmp_path / "log.csv")
    return tmp_path / "log.csv"


def invoked(*arguments):
    return CliRunner().invoke(mltfr, [*map(str, arguments)], catch_exceptions=False)


def test_a_runs_config_repeats_it(path, tmp_path):
    run, again = tmp_path / "run", tmp_path / "again"
    invoked("fit", path, "--out", run, "--backbone", "popularity", *FLAGS)
    assert 'item_column = "artist,track"' in (run / "config.toml").read_text()
    invoked("fit", path, "--out", again, "--config", run / "config.toml")
    assert (again / "config.toml").read_text() == (run / "config.toml").read_text()
    one, other = (json.loads((folder / "manifest.json").read_text()) for folder in (run, again))
    assert one["data_fingerprint"] == other["data_fingerprint"]
    table = Recommender(config=run / "config.toml").fit(TABLE)
    assert table.fitted.facts["data_fingerprint"] == Recommender.load(run).fitted.facts["data_fingerprint"]


def test_flags_win_over_the_file(path, tmp_path):
    (tmp_path / "run.toml").write_text('[reading]\nitem_column = "track"\ntime_format = "%m/%d/%Y %H:%M"\n')
    run = tmp_path / "run"
    invoked("fit", path, "--out", run, "--backbone", "popularity", "--config", tmp_path / "run.toml", *FLAGS)
    assert Recommender.load(run).config.reading == ReadingConfig(**HOW)


def test_a_log_that_was_read_before_says_how(path):
    log = load_interactions(path, **HOW)
    assert split_log(resolve(), log)[0].reading == log.reading == ReadingConfig(**HOW)
    with pytest.raises(ConfigError, match=r"log.csv: the settings ask for another reading of the log \(\[reading\]\)"):
        split_log(resolve(overrides=["reading.item_column=track"]), log)


def test_prepared_sets_say_how(path, tmp_path):
    made = prepare(path, tmp_path / "set", **HOW)
    assert made.reading == ReadingConfig(**HOW)
    assert load_interactions(tmp_path / "set", **HOW).fingerprint() == made.fingerprint()
    assert split_log(resolve(overrides=["reading.user_column=who", *(
        f"reading.{name}={value}" for name, value in HOW.items())]), made)[0].reading == made.reading  # fmt: skip
    with pytest.raises(DataError, match="is a prepared set, read and checked before"):
        load_interactions(tmp_path / "set", item_column="track")
    told = CliRunner().invoke(app, ["describe", str(path), "--json", *(f for f in FLAGS if f)])
    assert json.loads(told.stdout)["items"] == 28


def test_studies(path):
    study = StudyConfig.parse(
        {
            "data": {"songs": {"file": str(path), **HOW, "columns": None}},
            "backbones": {"sasrec": {}},
            "fusions": {"none": {}},
            "baselines": ["popularity"],
        },
        "study",
    )
    assert {cell.config.reading for cell in make_plan(study)} == {ReadingConfig(**HOW)}
    assert StudyInputs(study, study.data, SILENT).interactions == {"songs": 60}
    elsewhere = study.model_copy(update={"settings": {"reading": {"item_column": "track"}}})
    with pytest.raises(ConfigError, match=r"sets 'reading.item_column', but that belongs into \[data.LABEL\]"):
        make_plan(elsewhere)


def test_columns_are_a_text_or_a_list():
    assert ReadingConfig(columns="a, b").columns == ReadingConfig(columns=["a", "b "]).columns == ("a", "b")
    with pytest.raises(ConfigError, match="how the log is read: user_column: Input should be a valid string, got 3"):
        load_interactions(TABLE, user_column=3)
