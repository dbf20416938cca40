"""A whole search: what it leaves, that it repeats and resumes, that test is read once, at the end."""

from __future__ import annotations

import shutil
import sys
import time
import weakref
from dataclasses import replace
from threading import Event

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mltfr.errors import ConfigError, RunError
from mltfr.pipeline import load_artifact
from mltfr.search import blends, finish
from mltfr.search.clock import Clock
from mltfr.search.work import launch_here
from mltfr.storage.child import Ended
from mltfr.storage.progress import SILENT
from mltfr.study.job import CRASHED
from mltfr.training import Interrupted
from support.small_search import board_of, search_here, write_log


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "log.csv")


@pytest.fixture(scope="module")
def searched(log, tmp_path_factory):
    """A search, with the splits that were scored on the way."""
    asked, out = [], tmp_path_factory.mktemp("search") / "out"
    with pytest.MonkeyPatch.context() as patch:
        module = sys.modules["mltfr.evaluation.evaluate"]
        before = module.asked_targets

        def asked_targets(data, split, *more):
            asked.append(split)
            return before(data, split, *more)

        patch.setattr(module, "asked_targets", asked_targets)
        outcome = search_here(log, out)
    return out, outcome, asked


def test_it_leaves_a_run_a_leaderboard_and_a_report(searched):
    out, outcome, _ = searched
    board = pl.read_parquet(out / "leaderboard.parquet")
    assert {"popularity", "markov", "item-knn"} <= set(board["name"])  # baselines are on every leaderboard
    assert {"sasrec", "gru4rec", "sasrec + none-1", "sasrec + none-2"} <= set(board["name"])
    best = board.row(0, named=True)
    assert best["validation"] == board["validation"].max()
    fitted = load_artifact(out / "best")
    assert fitted.metrics["metrics"]["ndcg@10"] == best["test"]
    assert fitted.metrics["popularity"]["ndcg@10"] == board.filter(name="popularity")["test"].item()
    scored = board.filter(pl.col("test").is_not_null())["name"].to_list()
    assert set(scored) == {best["name"], "popularity"}
    page = (out / "report.html").read_text()
    assert f"{best['validation']:.4f}" in page
    assert "Everything that was tried" in page
    assert outcome.lines[0].startswith(f"Best on validation: {best['name']}")
    assert f"{best['validation'] - best['test']:+.4f}" in outcome.lines[1]


def test_test_is_read_at_the_end_and_once_for_the_winner_and_popularity(searched):
    _, _, asked = searched
    first = asked.index("test")
    assert asked.count("test") <= 2
    assert set(asked[:first]) == {"validation"}
    assert len(asked[:first]) > 8


def test_the_same_seed_gives_the_same_leaderboard(log, searched, tmp_path):
    search_here(log, tmp_path / "again")
    assert_frame_equal(board_of(tmp_path / "again"), board_of(searched[0]))


def test_what_happens_on_test_changes_no_choice(log, searched, tmp_path):
    """Every user's last item is another one; all else is equal."""
    frame = pl.read_csv(log)
    last = pl.int_range(pl.len()).over("user_id") == pl.len().over("user_id") - 1
    other = pl.col("item_id").shuffle(seed=1)
    frame.with_columns(pl.when(last).then(other).otherwise("item_id").alias("item_id")).write_csv(tmp_path / "log.csv")
    search_here(tmp_path / "log.csv", tmp_path / "out")
    assert_frame_equal(board_of(tmp_path / "out").drop("test"), board_of(searched[0]).drop("test"))


def test_stopped_anywhere_it_ends_as_if_it_had_not_been(log, searched, tmp_path):
    ends = 0
    for after in range(1, 40):
        stop, runs = Event(), 0

        def launch(run, threads, stop, kill, after=after):
            nonlocal runs
            runs += 1
            if runs >= after % 3 + 1:
                stop.set()
            return launch_here(run, threads, stop, kill)

        try:
            search_here(log, tmp_path / "out", resume=after > 1, stop=stop, launch=launch)
            break
        except Interrupted:
            ends += 1
    assert ends > 3
    assert_frame_equal(board_of(tmp_path / "out"), board_of(searched[0]))


def test_the_leaderboard_is_there_on_the_way(log, tmp_path):
    """When a network begins, everything that has ended before it is on the leaderboard."""
    ended, boards = ["popularity", "ease", "ease-recent", "markov", "item-knn"], []

    def launch(run, threads, stop, kill):
        boards.append(pl.read_parquet(tmp_path / "out/leaderboard.parquet"))
        return failing(run, threads, stop, kill)

    search_here(log, tmp_path / "out", launch=launch, trials=0)
    assert set(boards[0]["name"]) == set(ended)
    assert boards[1].filter(name="sasrec")["state"].to_list() == ["paused"]
    assert boards[2].filter(name="gru4rec")["error"].to_list() == ["RuntimeError: out of memory"]
    for board in boards:
        assert board["validation"].drop_nulls().is_sorted(descending=True)
        assert board["test"].null_count() == len(board)


def test_a_finished_one_is_shown_and_another_one_is_refused(log, searched):
    out, outcome, _ = searched
    with pytest.raises(RunError, match=r"holds a search already\. Continue it with --resume"):
        search_here(log, out)
    again = search_here(log, out, resume=True)
    assert again.lines == outcome.lines
    assert [row.name for row in again.rows] == [row.name for row in outcome.rows]


def test_other_options_are_refused(log, tmp_path):
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        search_here(log, tmp_path / "out", stop=stop)
    with pytest.raises(RunError, match=r"holds another search \(trials was 2 and is 3\)"):
        search_here(log, tmp_path / "out", resume=True, trials=3)


def failing(run, threads, stop, kill):
    """Fail with one network."""
    if "gru4rec" in run.name:
        return Ended(CRASHED, "RuntimeError: out of memory")
    return launch_here(run, threads, stop, kill)


def test_a_run_that_fails_is_recorded_and_the_search_goes_on(log, tmp_path):
    outcome = search_here(log, tmp_path / "out", launch=failing)
    assert outcome.failures == {"gru4rec": "RuntimeError: out of memory"}
    failed = pl.read_parquet(tmp_path / "out/leaderboard.parquet").filter(state="failed")
    assert failed["error"].to_list() == ["RuntimeError: out of memory"]
    assert (tmp_path / "out/best").is_dir()


def test_or_ends_where_that_is_asked_for(log, tmp_path):
    outcome = search_here(log, tmp_path / "out", launch=failing, on_error="abort")
    assert outcome.aborted
    assert outcome.failures
    assert not (tmp_path / "out/best").exists()


def test_at_the_end_one_run_is_loaded_at_a_time(searched, tmp_path, monkeypatch):
    """Beside the best one, which all others are compared with; members of a blend are loaded again."""
    out = shutil.copytree(searched[0], tmp_path / "out")
    (out / "leaderboard.parquet").unlink()
    loaded, alive = [], []

    def load(folder):
        alive.append(sum(each() is not None for each in loaded))
        fitted = load_artifact(folder)
        loaded.append(weakref.ref(fitted))
        return fitted

    monkeypatch.setattr(finish, "load_artifact", load)
    monkeypatch.setattr(blends, "WORTH", -1e9)
    rows = [row for row in searched[1].rows if row.kind != "blend"]
    found = finish.finish(out, [replace(row, test=None) for row in rows], "ndcg@10", Clock(600.0), SILENT)
    assert found.blended is not None
    assert len(found.blended.members) == 5
    assert found.blended.members[0] == rows[0].name
    assert (found.best.name == "blend") is (found.blended.fitted is not None) is (found.blended.gain.low > 0)
    assert any("A blend of" in line for line in found.lines)
    assert all(row.milliseconds for row in found.rows[:5])
    assert len(loaded) > 5
    assert max(alive) == 1


def test_a_training_is_ended_by_the_clock_and_kept(log, tmp_path, monkeypatch):
    """The time is over half a second into a training that would take minutes."""
    long = {"training": {"samples": "positions", "epochs": 10_000, "patience": 10_000, "batch_size": 8},
            "backbone": {"hidden": 8, "max_length": 10}}  # fmt: skip
    monkeypatch.setattr(Clock, "moment", lambda *_: time.time() + 0.5)
    begun = time.monotonic()
    outcome = search_here(log, tmp_path / "out", settings=long, preset="quick", trials=0)
    assert time.monotonic() - begun < 120  # 10,000 epochs take far longer
    network = next(row for row in outcome.rows if row.name == "sasrec")
    assert network.state == "finished"
    assert 0 < network.epochs < 10_000


@pytest.mark.parametrize(("seconds", "needs", "until"), [(60, 0, 52), (60, 15, 45), (60, 50, 39), (3600, 30, 3384)])
def test_trainings_end_before_the_time_so_that_the_end_fits_into_it(seconds, needs, until):
    clock = Clock(seconds, spent=10.0)
    clock.end_needs = needs
    assert clock.training_left == pytest.approx(until - 10, abs=0.5)
    assert clock.left == pytest.approx(seconds - 10, abs=0.5)
    assert clock.may_begin
    assert not Clock(seconds, spent=0.99 * seconds).may_begin


def test_popularity_is_there_whatever_the_time(log, tmp_path):
    """All of the time is gone before the first baseline begins."""
    outcome = search_here(log, tmp_path / "out", preset="quick", began=time.monotonic() - 3600)
    assert [(row.name, row.state) for row in outcome.rows] == [("popularity", "finished")]
    assert outcome.rows[0].test is not None


def test_without_a_validation_split_nothing_can_be_chosen(tmp_path):
    rows = pl.DataFrame({"user_id": ["a", "a", "b", "b"], "item_id": ["x", "y", "y", "x"], "timestamp": [1, 2, 1, 2]})
    rows.write_csv(tmp_path / "log.csv")
    with pytest.raises(ConfigError, match="The validation split is empty, so nothing can be chosen"):
        search_here(tmp_path / "log.csv", tmp_path / "out")
