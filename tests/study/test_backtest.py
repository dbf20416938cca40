"""A whole backtest: stopped, resumed, and blind to what comes later."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mltfr.errors import RunError
from mltfr.study import run_study
from support.small_study import LaunchedHere, write

DAY, START = 86_400, 1_700_006_400  # 2023-11-15


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    """Forty days of 60 users who walk a circle of 30 items, each every few days."""
    random = np.random.default_rng(3)
    times = np.cumsum(random.integers(DAY // 2, 4 * DAY, (60, 40)), axis=1)
    items = (random.integers(0, 30, (60, 1)) + np.cumsum(random.integers(1, 3, (60, 40)), axis=1)) % 30
    user = np.repeat(np.arange(60), 40)
    frame = pl.DataFrame({"user_id": user, "item_id": items.ravel(), "timestamp": START + times.ravel()})
    return frame.filter(pl.col("timestamp") < START + 40 * DAY)  # from 2023-11-15 to 2023-12-25


def backtest(folder: Path, events: pl.DataFrame, windows: int, **changes: Any) -> Path:
    folder.mkdir()
    events.write_csv(folder / "log.csv")
    data = {"shop": {"file": "log.csv", "rolling": {"windows": windows, "span": "6d"}}}
    return write(folder, data=data, baselines=["popularity"], **changes)


def run(file: Path, after: int = 100, **options: Any) -> tuple[Any, Path, int]:
    stop, out = Event(), file.parent / "out"
    launched = LaunchedHere(stop, after)
    outcome = run_study(file, out, jobs=1, stop=stop, launch=launched, **options)
    return outcome, out, launched.runs


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltfr.report.write.draw_all", lambda *_: [])


@pytest.mark.slow
def test_a_backtest_is_stopped_resumed_and_blind_to_what_comes_later(tmp_path: Path, events: pl.DataFrame) -> None:
    file = backtest(tmp_path / "whole", events, windows=2, data__other={"name": "synthetic"})
    outcome, out, runs = run(file, after=3, only=["data=shop"])
    assert (outcome.stopped, outcome.done, runs) == (True, 3, 3)
    outcome, out, runs = run(file, resume=True, only=["data=shop"])
    assert (outcome.failures, outcome.done, runs) == ({}, 6, 3)

    users, results = pl.read_parquet(out / "users.parquet"), pl.read_parquet(out / "results.parquet")
    tests = results.unique("window").sort("window").select("window", "test_from", "test_until").rows()
    assert tests == [("w1", "2023-12-13", "2023-12-19"), ("w2", "2023-12-19", "2023-12-25")]
    summary = outcome.summary.read_text()
    for window in ("w1", "w2"):
        assert summary.count(f"\nData set shop / {window}: read ") == 1
    assert "## shop: test, mean of 2 windows" in summary
    assert "| w1: 2023-12-13 | w2: 2023-12-19 | gain over none | ahead in |" in summary
    assert "a user counts once, by the mean over the windows" in summary
    resolved = (out / "study.toml").read_text()
    assert "# Data set shop, w2: validation from 2023-12-13, test from 2023-12-19 to 2023-12-25" in resolved
    (compared,) = pl.read_parquet(out / "comparisons.parquet").filter(metric="ndcg@10").to_dicts()
    assert compared["users"] == users["user_id"].n_unique() < len(users) / 3
    assert outcome.winners[0].windows == 2

    early = events.filter(pl.col("timestamp") < START + 34 * DAY)  # a log that ends with the first window
    _, cut_off, _ = run(backtest(tmp_path / "early", early, windows=1))
    names = ("backbone", "fusion", "seed", "user_id", "ndcg@10", "hr@10")
    seen_before = users.filter(pl.col("window") == "w1").select(names).sort(names[:4])
    assert_frame_equal(pl.read_parquet(cut_off / "users.parquet").select(names).sort(names[:4]), seen_before)

    (file.parent / "log.csv").write_text(early.write_csv())
    changed = r'made from something else \(config.filters.until was "2023-12-19" and is "2023-12-13"\)'
    with pytest.raises(RunError, match=changed):
        run(file, resume=True)

    (file.parent / "log.csv").unlink()  # its results stay while another data set runs
    outcome, out, runs = run(file, resume=True, only=["data=other", "backbone=popularity"])
    assert (outcome.failures, runs) == ({}, 1)
    assert "## shop: test, mean of 2 windows" in outcome.summary.read_text()
    assert "## other: test\n" in outcome.summary.read_text()
