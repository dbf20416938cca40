"""The search of a backbone's settings: it finds what is planted, keeps the best run, and goes on after a failure."""

from __future__ import annotations

import json
from math import exp, log10
from threading import Event

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mltfr.errors import ConfigError
from mltfr.pipeline import RunConfig, load_artifact
from mltfr.search.check import check_values
from mltfr.search.tune import parse_space, tune
from mltfr.search.work import launch_here
from mltfr.storage.child import Ended
from mltfr.study.job import CRASHED, REFUSED, STOPPED
from mltfr.study.sampler import Sampler
from mltfr.study.space import Range
from mltfr.study.tuning import STARTUP_ALONE
from mltfr.training import Interrupted
from support.small_search import board_of, small_request, write_log

SPACE = {"training.learning_rate": Range(low=1e-3, high=1e-2, log=True), "backbone.blocks": (1, 2)}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "log.csv")


def tune_here(log, out, launch=launch_here, on_error="continue", **more):
    return tune(small_request(log, trials=4, on_error=on_error), out, "sasrec", "none", SPACE, launch=launch, **more)


@pytest.fixture(scope="module")
def tuned(log, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "out"
    return out, tune_here(log, out)


def test_the_best_trial_is_kept_as_a_run_with_a_test_score(tuned):
    out, outcome = tuned
    board = pl.read_parquet(out / "leaderboard.parquet")
    trials = board.filter(kind="trial")
    assert len(trials) == 4
    assert {"popularity", "markov", "item-knn"} <= set(board["name"])
    best = trials.row(0, named=True)
    fitted = load_artifact(out / "best")
    assert fitted.config.training.learning_rate == json.loads(best["settings"])["training.learning_rate"]
    assert fitted.metrics["metrics"]["ndcg@10"] == best["test"]
    assert outcome.lines[0].startswith(f"Best on validation: {best['name']}")
    kept = [path for path in out.glob("tuning/*/*") if path.is_dir()]
    assert [str(path.relative_to(out)) for path in kept] == [best["run"]]


def test_interrupted_after_every_trial_it_ends_the_same(log, tuned, tmp_path):
    ends = 0
    for _ in range(20):
        stop = Event()

        def launch(run, threads, stop, kill):
            stop.set()
            return launch_here(run, threads, Event(), kill)

        try:
            tune_here(log, tmp_path / "out", launch, resume=ends > 0, stop=stop)
            break
        except Interrupted:
            ends += 1
    assert ends >= 4
    assert_frame_equal(board_of(tmp_path / "out"), board_of(tuned[0]))


def test_a_trial_that_crashes_is_recorded_and_the_search_goes_on(log, tmp_path):
    def failing(run, threads, stop, kill):
        if run.name == "1":
            return Ended(CRASHED, "RuntimeError: out of memory")
        return launch_here(run, threads, stop, kill)

    outcome = tune_here(log, tmp_path / "out", failing)
    assert outcome.failures == {"trial 1": "RuntimeError: out of memory"}
    assert sum(row.kind == "trial" and row.value is not None for row in outcome.rows) == 3
    aborted = tune_here(log, tmp_path / "aborted", failing, on_error="abort")
    assert aborted.aborted
    assert not (tmp_path / "aborted/best").exists()


def tune_until(log, out, tried, stop_at, ends=None):
    """Begin or continue a search and stop it at a trial; `tried` gets its trials, `ends` says how some of them end."""
    tried.clear()
    stop = Event()

    def launch(run, threads, _, kill):
        tried.append(run.name)
        if run.name == stop_at:
            stop.set()
        return (ends or {}).get(run.name) or launch_here(run, threads, Event(), kill)

    return tune_here(log, out, launch, resume=out.exists(), stop=stop)


def test_a_trial_that_was_killed_is_tried_again_and_one_that_cannot_be_is_not(log, tmp_path):
    tried, out = [], tmp_path / "out"
    killed, refused = Ended(-9, "killed by signal 9"), Ended(REFUSED, "the loss is no number")
    with pytest.raises(Interrupted):
        tune_until(log, out, tried, "3", {"1": killed, "2": refused, "3": Ended(STOPPED, "")})
    assert tried == ["0", "1", "2", "3"]  # by the same command it is not
    board = pl.read_parquet(out / "leaderboard.parquet").filter(state="failed")
    assert dict(board.select("name", "error").iter_rows()) == {
        "trial 1": "killed by signal 9", "trial 2": "the loss is no number"
    }  # fmt: skip
    with pytest.raises(Interrupted):
        tune_until(log, out, tried, "1")
    assert tried == ["3", "1"]
    outcome = tune_until(log, out, tried, None)
    assert tried == []
    assert outcome.failures == {"trial 2": "the loss is no number"}
    assert sum(row.kind == "trial" and row.value is not None for row in outcome.rows) == 3


def test_a_trial_that_fails_when_tried_again_is_not_tried_a_third_time(log, tmp_path):
    tried, out, killed = [], tmp_path / "out", Ended(-9, "killed by signal 9")
    with pytest.raises(Interrupted):
        tune_until(log, out, tried, "3", {"1": killed, "2": killed, "3": Ended(STOPPED, "")})
    with pytest.raises(Interrupted):
        tune_until(log, out, tried, "2", {"1": killed, "2": Ended(STOPPED, "")})
    assert tried == ["3", "1", "2"]
    outcome = tune_until(log, out, tried, None)
    assert tried == ["2"]
    error = outcome.failures["trial 1"]
    assert error.startswith("killed by signal 9 (tried twice; `mltfr fit` with its settings, which are in")


def test_what_a_trial_that_is_tried_again_had_trained_is_kept_until_then(log, tmp_path):
    found = {}

    def command(killed, stop_at, out=tmp_path / "out"):
        stop = Event()

        def launch(run, threads, _, kill):
            found[run.name] = any(run.glob("checkpoint*"))
            if run.name == stop_at:
                stop.set()
                return Ended(STOPPED, "")
            if run.name in killed:
                at_once = Event()
                at_once.set()
                launch_here(run, threads, at_once, kill)
                return Ended(-9, "killed by signal 9")
            return launch_here(run, threads, Event(), kill)

        return tune_here(log, out, launch, resume=out.exists(), stop=stop)

    with pytest.raises(Interrupted):
        command("12", "3")
    with pytest.raises(Interrupted):
        command("", "2")
    assert found["2"]  # after the records of 3 and 1
    assert not command("", None).failures
    over = command("3", None, tmp_path / "over")  # nothing is tried again
    assert list(over.failures) == ["trial 3"]
    assert not list((tmp_path / "over").glob("tuning/*/3"))


def test_a_planted_optimum_is_found_within_30_trials_in_9_of_10_seeds():
    """It lies at a learning rate of .003, a dropout of .4 and two blocks."""
    space = {"rate": Range(low=1e-4, high=1e-1, log=True), "dropout": Range(low=0.0, high=0.9), "blocks": (1, 2, 3)}
    found = 0
    for seed in range(10):
        sampler, best = Sampler(space, seed, STARTUP_ALONE), 0.0
        for _ in range(30):
            settings = sampler.ask()
            value = exp(-(log10(settings["rate"] / 3e-3) ** 2) - 4 * (settings["dropout"] - 0.4) ** 2)
            value *= 1.0 if settings["blocks"] == 2 else 0.8
            sampler.tell(value)
            best = max(best, value)
        found += best > 0.9
    assert found >= 9


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"backbone.blocks": ("x", "y")}, ".* blocks: .*valid integer.*, got 'x'"),
        ({"backbone.dropout": Range(low=0.1, high=2)}, r".* dropout: .*less than 1, got 2.0\.$"),
        ({"backbone.dropout": Range(low=-0.1, high=0.5)}, r".* dropout: .*equal to 0, got -0.1\.$"),
        ({"training.learning_rate": (0.1, -1), "backbone.blocks": (1, 2)}, "training.learning_rate: .*than 0, got -1"),
        ({"backbone.blocks": Range(low=1, high=3)}, ".* blocks: .* as in backbone.blocks=1..3:int"),
        ({"backbone.hidden": Range(low=32, high=256)}, ".* hidden: .* as in backbone.hidden=1..3:int"),
        ({"training.warmup_steps": Range(low=0, high=1000)}, "training.warmup_steps: .* searched with :int"),
    ],
)
def test_a_value_that_a_setting_does_not_allow_is_refused_before_anything_is_fitted(log, tmp_path, space, said):
    with pytest.raises(ConfigError, match=f"^--vary: {said}"):
        tune(small_request(log, trials=4), tmp_path / "out", "sasrec", "none", space, launch=launch_here)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_another_setting_is_left_to_the_trials():
    config = RunConfig.parse({"backbone": {"name": "sasrec", "heads": 2}, "fusion": {"name": "none"}})
    check_values(config, {"backbone.hidden": (33, 64), "backbone.heads": Range(low=2, high=4, whole=True)})
    check_values(config, {"backbone.hidden": Range(low=64, high=513, whole=True)})


def test_what_varies_is_read():
    texts = ["training.learning_rate=1e-4..1e-2:log", "backbone.blocks=1..3:int", "backbone.norm=pre,post"]
    space = parse_space([*texts, "backbone.dropout=0.1,0.5"])
    assert space["training.learning_rate"] == Range(low=1e-4, high=1e-2, log=True)
    assert space["backbone.blocks"] == Range(low=1, high=3, whole=True)
    assert space["backbone.norm"] == ("pre", "post")
    assert space["backbone.dropout"] == (0.1, 0.5)
    for wrong in ("backbone.blocks", "backbone.blocks=1..x", "backbone.blocks=1..3:odd"):
        with pytest.raises(ConfigError, match="is neither KEY=a,b,c nor"):
            parse_space([wrong])
