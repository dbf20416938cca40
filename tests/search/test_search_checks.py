"""What is checked before a search has a folder, and that a search goes on with the log that it was begun with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from threading import Event

import polars as pl
import pytest

from mltfr.errors import ConfigError, DataError, RunError, TokenTableError
from mltfr.search.arms import search_study
from mltfr.search.clock import END_SECONDS, LEAST_SECONDS, Clock, check_time
from mltfr.search.journal import JOURNAL
from mltfr.search.tune import SPACE, tune, tuned_study, tuning_config
from mltfr.search.work import launch_here
from mltfr.storage.files import read_json_lines, write_json_lines
from mltfr.storage.sealed import sealed, unsealed
from mltfr.training import Interrupted
from support.small_search import SETTINGS, search_here, small_request, write_log


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "log.csv")


@pytest.fixture(scope="module")
def quick(log, tmp_path_factory):
    out = tmp_path_factory.mktemp("quick") / "out"
    return out, search_here(log, out, preset="quick", seconds=100.0)


def stopped(log, out, **changes):
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        search_here(log, out, stop=stop, **changes)


def refused(error, message, log, out, **changes):
    with pytest.raises(error, match=message):
        search_here(log, out, **changes)
    assert not out.exists()  # so that the command, corrected, needs no other --out


def test_a_finished_search_is_not_shown_as_that_of_another_log_or_metric(quick, log, tmp_path):
    frame = pl.read_csv(log)
    frame.head(len(frame) - 9).write_csv(tmp_path / "other.csv")
    with pytest.raises(RunError, match="was begun with a log of other content"):
        search_here(tmp_path / "other.csv", quick[0], resume=True, preset="quick", seconds=100.0)
    with pytest.raises(RunError, match=r"holds another search \(metrics was"):
        search_here(log, quick[0], resume=True, preset="quick", seconds=100.0, metric="mrr@5")


def test_a_finished_search_says_where_more_time_would_go(quick, log):
    more = search_here(log, quick[0], resume=True, preset="quick", seconds=200.0)
    assert more.lines[:-1] == quick[1].lines
    assert "finished already; for more time choose another --out" in more.lines[-1]


def of_before(kind, /, **changes):
    """Return what makes a journal one that another version wrote: a field of a line of a kind is missing or new."""

    def change(out):
        lines = [unsealed(line) for line in read_json_lines(out / JOURNAL)]
        for line in lines:
            if line["kind"] == kind:
                line.update({key: value for key, value in changes.items() if value is not None})
                for key in [key for key, value in changes.items() if value is None]:
                    del line[key]
        write_json_lines(out / JOURNAL, map(sealed, lines))

    return change


def without_data(out):
    text = (out / "search.toml").read_text()
    (out / "search.toml").write_text(text.replace("[data.log", "[sets.log"))


def without_columns(out):
    pl.read_parquet(out / "leaderboard.parquet").drop("error").write_parquet(out / "leaderboard.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_before("begun", log=None), r"search\.jsonl: .*\(it lacks 'log'\)"),
        (of_before("process", kind="run"), r"search\.jsonl: .*\(it has a line 'run'\)"),
        (of_before("process", code=None), r"search\.jsonl: .*\(it lacks 'code'\)"),
        (of_before("found", recommended=None), r"search\.jsonl: .*\(it lacks 'recommended'\)"),
        (without_data, r"search\.toml: .*\(it lacks 'data'\)"),
        (without_columns, r"leaderboard\.parquet: .*\(it lacks 'error'\)"),
    ],
)
def test_a_search_of_another_version_is_refused_in_a_line(quick, log, tmp_path, change, message):
    out = shutil.copytree(quick[0], tmp_path / "out")
    change(out)
    remedy = r" Remove it, and continue with --resume, which keeps what is trained; or choose another --out\.$"
    with pytest.raises(RunError, match=message + r"\." + remedy) as caught:
        search_here(log, out, resume=True, preset="quick", seconds=100.0)
    assert caught.value.exit_code == 2


def test_what_a_journal_of_another_version_leaves_is_kept(quick, log, tmp_path):
    """As the refusal says: without the journal, what is trained is not trained again."""
    out = shutil.copytree(quick[0], tmp_path / "out")
    (out / JOURNAL).unlink()
    again = search_here(log, out, resume=True, preset="quick", seconds=100.0, launch=None)
    assert again.lines[0] == quick[1].lines[0]


def test_a_search_goes_on_after_its_log_was_moved(log, tmp_path):
    moved = tmp_path / "log.csv"
    moved.write_bytes(log.read_bytes())
    stopped(moved, tmp_path / "out", preset="quick")
    moved = moved.rename(tmp_path / "moved.csv")
    assert search_here(moved, tmp_path / "out", preset="quick", resume=True).lines


def test_a_log_that_is_not_there(tmp_path):
    refused(DataError, "nosuch.csv", tmp_path / "nosuch.csv", tmp_path / "out")


def test_names_of_other_items_are_refused_once_before_anything_is_fitted(log, tmp_path):
    pl.DataFrame({"item_id": ["p", "q"], "title": ["some name", "other name"]}).write_csv(tmp_path / "names.csv")
    of_data = {"names": {"file": str(tmp_path / "names.csv")}}
    refused(DataError, "names.csv", log, tmp_path / "out", of_data=of_data, preset="quick")


def test_tables_that_are_unknown_or_read_by_nothing(log, tmp_path):
    refused(TokenTableError, "Unknown token table 'nosuch'", log, tmp_path / "out", tokens=("nosuch",))
    refused(ConfigError, r"--tokens synthetic-a: nothing that this search tries reads token tables", log,
            tmp_path / "out", tokens=("synthetic-a",), preset="quick")  # fmt: skip
    with pytest.raises(ConfigError, match="nothing that this search tries reads token tables"):
        tune(small_request(log, tokens=("synthetic-a",)), tmp_path / "out", "sasrec", "none", launch=launch_here)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"training": {"metric": "hr@5"}}}, r"'ndcg@10' decides\. Use --metric hr@5"),
        ({"settings": {"backbone": {"name": "bsarec"}}}, "'backbone.name' cannot be a setting .* chooses backbones"),
        ({"settings": {"fusion": {"name": "mltfr"}}}, "'fusion.name' cannot be a setting"),
        ({"settings": {"seed": 4}}, "'seed' cannot be a setting of all runs of a search. Use --seed"),
        ({"settings": {"tokens": {"tables": ["synthetic-a"]}}}, "Use --tokens"),
        ({"metric": "ndcg"}, r"^--metric: unknown metric 'ndcg'.*as in ndcg@10\.$"),
        ({"metric": "ndcg@7"}, r"--metric ndcg@7 is not measured \(hr@5, "),
    ],
)
def test_what_is_an_option_is_no_setting(log, tmp_path, changes, message):
    refused(ConfigError, message, log, tmp_path / "out", **changes)


def test_a_time_that_holds_no_search_is_refused(log, tmp_path):
    message = r"^--time is 5 s; a search takes at least 23 s, since 8 s .* Give more, as in --time 5m\.$"
    refused(ConfigError, message, log, tmp_path / "out", seconds=5.0)
    with pytest.raises(ConfigError, match=message):
        tune(small_request(log, seconds=5.0), tmp_path / "out", "sasrec", "none")
    check_time(LEAST_SECONDS)
    assert Clock(LEAST_SECONDS).training_left == pytest.approx(LEAST_SECONDS - END_SECONDS, abs=0.1)


def test_tune_has_options_of_its_own(log, tmp_path):
    with pytest.raises(ConfigError, match="Use --backbone"):
        tune(small_request(log, settings={"backbone": {"name": "bsarec"}}), tmp_path / "out", "sasrec", "none")


def test_runs_of_a_search_are_sent_to_no_tracker(log):
    request = small_request(log, settings={**SETTINGS, "trackers": ["mlflow"]})
    study = search_study(request)
    assert study.settings["trackers"] == []
    study = tuned_study(request, "sasrec", "none", tuning_config(replace(request, trials=2), SPACE))
    assert study.settings["trackers"] == []
