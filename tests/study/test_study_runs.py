"""Whole studies in processes: killed, stopped, resumed, tuned, and with a cell that fails."""

from __future__ import annotations

import json
import signal
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mltfr.cli.main import main
from mltfr.errors import DataError, RunError
from mltfr.storage.lock import locked
from mltfr.study import run_study
from mltfr.study.folder import open_study
from mltfr.study.launch import launch
from support.small_study import LaunchedHere, start, write

LONG = {"settings__training": {"samples": "positions", "epochs": 2, "first_round_epochs": 1, "batch_size": 16,
                               "advanced": {"fisher_examples": 16, "checkpoint_seconds": 0.0}}}  # fmt: skip


def wait_for_checkpoints(process, out, steps):
    """Wait until a cell has a checkpoint of so many steps."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        for path in out.glob("cells/*/checkpoint/state.json"):
            with suppress(OSError, ValueError):
                if json.loads(path.read_text())["step"] >= steps:
                    return
        time.sleep(0.005)
    process.kill()
    pytest.fail(f"the cells ended before they could be interrupted: {process.communicate()[1]}")


def tables_of(out):
    results = pl.read_parquet(out / "results.parquet").drop("seconds")
    return results, pl.read_parquet(out / "users.parquet")


@pytest.mark.slow
def test_stopped_and_killed_it_ends_with_the_same_tables(tmp_path, reports):
    file = write(tmp_path, **LONG)
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert run_study(file, straight, jobs=1, launch=LaunchedHere()).done == 2

    process = start(file, broken, "--jobs", "2")
    wait_for_checkpoints(process, broken, 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped with 0 of 2 cells finished; continue with the same command and --resume" in errors
    assert "Traceback" not in errors
    for run in broken.glob("cells/*/"):
        assert (run / "checkpoint/state.json").exists()
        with locked(run):  # nobody works there any more
            pass

    process = start(file, broken, "--jobs", "2", "--resume")
    wait_for_checkpoints(process, broken, 12)
    process.kill()
    process.communicate()
    assert not (broken / "results.parquet").exists()

    outcome = run_study(file, broken, resume=True, jobs=1, launch=LaunchedHere())
    assert (outcome.cells, outcome.done, outcome.failures, outcome.stopped) == (2, 2, {}, False)
    for found, expected in zip(tables_of(broken), tables_of(straight), strict=True):
        assert_frame_equal(found, expected, check_exact=True)
    left = {path.name for path in broken.glob("cells/*/*")}
    assert left == {"config.toml", "log.jsonl", "manifest.json", "metrics.json", "users.parquet"}
    assert len(reports) == 2


@pytest.mark.slow
def test_a_study_runs_part_by_part(tmp_path, reports):
    file, out = write(tmp_path), tmp_path / "out"
    first = run_study(file, out, jobs=1, launch=LaunchedHere(), only=["fusion=none"])
    assert (first.cells, first.done) == (1, 1)
    assert pl.read_parquet(out / "results.parquet")["fusion"].unique().to_list() == ["none"]
    more = run_study(file, out, resume=True, jobs=1, launch=LaunchedHere(), only=["fusion=mltfr"])
    assert more.done == 1
    assert set(pl.read_parquet(out / "results.parquet")["fusion"]) == {"none", "mltfr"}


def test_the_study_file_tells_of_data_sets_of_earlier_parts(tmp_path, reports):
    other = {"name": "synthetic", "synthetic": {"users": 60, "items": 30, "topics": 3}}
    file = write(tmp_path, baselines=["popularity"], data__other=other)

    def data_sets(out, only, resume):
        run_study(file, out, resume=resume, jobs=1, launch=LaunchedHere(), only=["backbone=popularity", *only])
        return [line for line in (out / "study.toml").read_text().splitlines() if line.startswith("# Data set ")]

    whole = data_sets(tmp_path / "whole", [], resume=False)
    assert [line.split()[3] for line in whole] == ["made-up:", "other:"]
    assert data_sets(tmp_path / "parts", ["data=other"], resume=False) == whole[1:]
    assert data_sets(tmp_path / "parts", ["data=made-up"], resume=True) == whole


@pytest.mark.slow
def test_a_failing_cell_is_told_and_the_others_go_on(tmp_path, reports, monkeypatch, capsys):
    bad = {"fusion": {"name": "mltfr", "site": 1}}
    file, out = write(tmp_path, fusions__bad=bad, fusions__mltfr=None), tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["mltfr", "study", str(file), "--out", str(out), "--jobs", "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 1
    message = "failed: fusion.site is 1, but the backbone has blocks 0 to 0. Lower it."
    (line,) = [line for line in printed.err.splitlines() if line.startswith("mltfr: ")]
    assert line.startswith("mltfr: cell made-up-sasrec-bad-one-s0-")
    assert line.endswith(message)
    assert "made-up / sasrec / none, seed 0: ndcg@10 0." in printed.err
    assert printed.out.startswith("# Small\n")
    assert any("is missing, since it failed: fusion.site is 1" in note for note in reports[0]["notes"])
    assert pl.read_parquet(out / "results.parquet")["fusion"].unique().to_list() == ["none"]

    with pytest.raises(RunError, match=r"holds a study already \(its tables: summary.md\)"):
        run_study(file, out)
    with pytest.raises(RunError, match=r"sasrec-none-s0-.*\(config.backbone.hidden was 8 and is 16\)"):
        run_study(write(tmp_path, settings__backbone__hidden=16), out, resume=True)
    with pytest.raises(RunError, match=r"threads was 1 and is 2"):
        run_study(write(tmp_path, threads=2), out, resume=True)
    with locked(out), ThreadPoolExecutor(1) as pool, pytest.raises(RunError, match="is at work in it"):
        pool.submit(run_study, file, out, resume=True).result()

    mended = write(tmp_path, fusions__mltfr=None, fusions__bad={"fusion": {"name": "none"}}, tables=None)
    finished = (out / "results.parquet").stat().st_mtime_ns
    outcome = run_study(mended, out, resume=True, jobs=1, launch=LaunchedHere())
    assert outcome.done == 2  # the failed cell is made from its new settings
    assert (out / "results.parquet").stat().st_mtime_ns > finished


def test_a_folder_is_looked_at_again_once_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def after_another_one(path: Path, **options: object) -> Iterator[None]:
        path.mkdir()
        (path / "study.toml").touch()
        with locked(path):
            yield

    monkeypatch.setattr("mltfr.study.folder.locked", after_another_one)
    with pytest.raises(RunError, match="holds a study already"), open_study(tmp_path / "out", resume=False):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["study.toml"]


def test_what_a_killed_study_left_goes_with_the_next_one(tmp_path: Path) -> None:
    strays = [
        tmp_path / place / ".x.json.7-0123abcd.partial"
        for place in (".", "cells", "tuning", "tuning/group", "tables", "plots")
    ]
    own = tmp_path / "cells" / "one" / ".x.json.7-0123abcd.partial"  # its process may be at work
    for path in (*strays, own):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "study.toml").touch()
    with open_study(tmp_path, resume=True):
        assert not any(path.exists() for path in strays)
    assert own.exists()


@pytest.mark.slow
def test_a_killed_cell_is_told_and_continued_later(tmp_path, reports):
    file, out = write(tmp_path), tmp_path / "out"

    def launch_and_kill(run, threads, stop, kill):
        if "-mltfr-" in run.name:
            kill = Event()
            kill.set()
        return launch(run, threads, stop, kill)

    outcome = run_study(file, out, jobs=2, launch=launch_and_kill)
    assert outcome.done == 1
    ((name, message),) = outcome.failures.items()
    assert name.startswith("made-up-sasrec-mltfr-one-s0-")
    assert message == "killed by signal 9, perhaps because the memory was full"
    assert run_study(file, out, jobs=1, launch=LaunchedHere(), resume=True).done == 2


@pytest.mark.slow
def test_a_study_tunes_before_it_compares(tmp_path, reports):
    space = {"training.learning_rate": {"low": 1e-3, "high": 5e-2, "log": True}}
    file = write(tmp_path, fusions__mltfr=None, tables=None, tuning={"trials": 2, "space": space})
    out = tmp_path / "out"
    assert run_study(file, out, jobs=1, launch=LaunchedHere()).done == 1
    (recorded,) = (out / "tuning").iterdir()
    trials = [json.loads(line) for line in recorded.read_text().splitlines()]
    assert trials[0]["settings"] == {"training.learning_rate": 1e-3}
    best = max(trials, key=lambda trial: trial["value"])["settings"]["training.learning_rate"]
    (config,) = out.glob("cells/*/config.toml")
    assert tomllib.loads(config.read_text())["training"]["learning_rate"] == best
    notes = " ".join(reports[0]["notes"])
    assert "2 trials for every backbone with every fusion, over training.learning_rate; test was not scored" in notes
    assert f"training.learning_rate = {best}" in notes
    assert run_study(file, out, resume=True).done == 1  # nothing is left to do
    assert reports[1] == reports[0]


@pytest.mark.parametrize("content", ["notes.txt", "manifest.json"])
def test_what_is_no_study_is_left_alone(tmp_path, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / content).write_text("mine")
    for resume in (False, True):
        with pytest.raises(RunError, match="is not empty and not a study"):
            run_study(write(tmp_path), out, resume=resume)
    assert [path.name for path in out.iterdir()] == [content]


def test_a_study_that_ends_before_its_first_cell_is_no_obstacle(tmp_path):
    out = tmp_path / "out"
    (tmp_path / "log.csv").write_text("user_id,item_id\n")
    for _ in range(2):
        with pytest.raises(DataError):
            run_study(write(tmp_path, data={"mine": {"file": "log.csv"}}), out)
