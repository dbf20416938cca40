"""Repeats with the same time: refused as a log written twice, or kept where days are times."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from mltfr.cli.data import app
from mltfr.errors import DataError
from mltfr.interactions import FilterConfig, SplitConfig, apply_filters, describe, load_interactions, prepare
from mltfr.interactions.id_lists import histories_of
from mltfr.interactions.ids import Strip
from mltfr.pipeline import resolve
from mltfr.pipeline.inputs import split_log
from mltfr.storage.progress import SILENT
from mltfr.study.config import DataConfig, StudyConfig
from mltfr.study.data import open_log
from mltfr.study.inputs import StudyInputs

ROWS = """user_id,item_id,timestamp
u1,i1,2019-11-01
u1,i1,2019-11-01
u1,i2,2019-11-02
u2,i1,2019-11-01
u2,i2,2019-11-01
u2,i3,2019-11-03
"""
REFUSED = r"line 3: repeats line 2 .*where that is no mistake, set filters.same_time=keep\. .*\(1 found\)"
KEEP = FilterConfig(same_time="keep")


@pytest.fixture
def path(tmp_path):
    (tmp_path / "log.csv").write_text(ROWS)
    return tmp_path / "log.csv"


def test_refused_by_default_and_kept_where_asked(path, tmp_path):
    for read in (lambda: load_interactions(path), lambda: prepare(path, tmp_path / "set")):
        with pytest.raises(DataError, match=REFUSED):
            read()
    log = load_interactions(path, same_time="keep")
    assert log.frame["item_id"].to_list() == ["i1", "i1", "i1", "i2", "i2", "i3"]
    assert len(load_interactions(path, skip_invalid=True)) == 5
    assert load_interactions(path, same_time="keep", skip_invalid=True).skipped == 0
    made = prepare(path, tmp_path / "set", filters=KEEP)
    assert len(made) == 6
    assert made.fingerprint() == log.fingerprint()
    assert load_interactions(made.folder, same_time="keep").filters == KEEP


def test_other_filters_are_as_before(path):
    log = load_interactions(path, same_time="keep")
    kept, report = apply_filters(log, FilterConfig(same_time="keep", consecutive_repeats="drop"))
    assert [step.name for step in report.steps] == ["before", "consecutive_repeats"]
    assert len(kept) == 5


def test_a_run_says_how_its_log_was_read(path):
    config, data, _ = split_log(resolve(), load_interactions(path, same_time="keep"))
    assert config.filters == KEEP
    assert data.histories.lengths.tolist() == [3, 3]


def test_the_command_line_and_studies(path):
    assert CliRunner().invoke(app, ["describe", str(path)]).exit_code != 0
    printed = CliRunner().invoke(app, ["describe", str(path), "--json", "--set", "filters.same_time=keep"])
    assert json.loads(printed.stdout)["interactions"] == 6
    filtered = ["--set", "filters.same_time=keep", "--set", "filters.since=2019-11-02"]
    printed = CliRunner().invoke(app, ["describe", str(path), "--json", *filtered])
    assert json.loads(printed.stdout)["interactions"] == 2
    assert len(open_log(DataConfig(file=str(path)), KEEP)) == 6
    assert describe(load_interactions(path, same_time="keep")).interactions == 6


@pytest.mark.parametrize("layer", ["study", "data"])
def test_a_study_reads_its_logs_as_its_settings_say(path, layer):
    keep = {"filters": {"same_time": "keep"}}
    settings = {"settings": keep} if layer == "study" else {}
    data = {"file": str(path), **({"settings": keep} if layer == "data" else {})}
    study = StudyConfig.parse(
        {"data": {"days": data}, "backbones": {"sasrec": {}}, "fusions": {"none": {}}, **settings}, "study"
    )
    assert StudyInputs(study, study.data, SILENT).interactions == {"days": 6}


def test_histories_of_days_are_taken_too(path):
    found = dict(histories_of(pl.read_csv(path), Strip("ids")))
    assert found["u1"] == ["i1", "i1", "i2"]


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
def test_a_folder_of_parts(tmp_path, path):
    path.rename(tmp_path / "train.csv")
    (tmp_path / "test.csv").write_text("user_id,item_id,timestamp\nu1,i1,2019-11-04\nu1,i1,2019-11-04\n")
    with pytest.raises(DataError, match=REFUSED):
        load_interactions(tmp_path)
    log = load_interactions(tmp_path, same_time="keep")
    assert (len(log), len(log.test)) == (6, 2)
    assert len(prepare(tmp_path, tmp_path / "set", filters=KEEP, split=SplitConfig()).split.test) == 2
