"""Windows of a rolling split in a report: a user counts once, and what lacks a window is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mltfr.evaluation.crossed import compare_seeds
from mltfr.report import write_report
from mltfr.report.frames import read_results, read_users
from mltfr.report.table import percent, score
from mltfr.report.windows import incomplete, pooled_results, pooled_users, rolled_cells
from support.made_up_study import write_study

PROTOCOLS = ("aaaa", "bbbb", "cccc")


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltfr.report.write.draw_all", lambda *_: [])


def in_windows(frame: pl.DataFrame) -> pl.DataFrame:
    number = pl.col("protocol").replace_strict({name: str(n) for n, name in enumerate(PROTOCOLS, 1)})
    frame = frame.with_columns(window=pl.lit("w") + number)
    if "test_from" in frame.columns:
        frame = frame.with_columns(test_from=pl.lit("2024-0") + number + "-01", test_until=pl.lit("later"))
    return frame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of three windows; every fifth user is tested in the last one only."""
    write_study(tmp_path, protocols=PROTOCOLS, backbones=("sasrec",), fusions={"none": 0.0, "mltfr": 0.05})
    for name in ("results", "users"):
        frame = in_windows(pl.read_parquet(tmp_path / f"{name}.parquet"))
        if name == "users":
            late = pl.col("user_id").str.slice(1).cast(pl.Int64) % 5 == 0
            frame = frame.filter(~late | (pl.col("window") == "w3"))
        frame.write_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def report(folder: Path) -> dict[str, str]:
    paths = write_report(folder, "T", ("ndcg@10",), "none", "users-and-seeds")
    return {path.name: path.read_text() for path in paths if path.suffix == ".md"}


def values(users: pl.DataFrame, fusion: str) -> np.ndarray:
    """Return `[seeds, users]`, a user being the mean over their windows."""
    mine = users.filter(pl.col("fusion") == fusion).group_by("seed", "user_id").agg(pl.col("ndcg@10").mean())
    return mine.sort("seed", "user_id")["ndcg@10"].to_numpy().reshape(3, -1)


def test_a_user_counts_once_by_the_mean_over_their_windows(folder: Path) -> None:
    texts = report(folder)
    users = read_users(folder)
    (row,) = pl.read_parquet(folder / "comparisons.parquet").to_dicts()
    expected = compare_seeds(values(users, "mltfr"), values(users, "none"))
    assert (row["users"], row["seeds"], row["protocol"]) == (60, 3, "aaaa bbbb cccc")
    assert (row["p"], row["low"], row["high"]) == pytest.approx((expected.p, expected.low, expected.high))
    assert "## beauty: test, mean of 3 windows" in texts["beauty.md"]
    assert "3 windows: a score is the mean of the windows' scores." in texts["beauty.md"]
    assert "Protocols aaaa, bbbb and cccc, data beauty-print." in texts["beauty.md"]


def test_the_same_users_in_more_windows_make_nothing_surer(tmp_path: Path) -> None:
    write_study(tmp_path / "once", protocols=PROTOCOLS[:1])
    once, results = (pl.read_parquet(tmp_path / "once" / f"{name}.parquet") for name in ("users", "results"))
    (tmp_path / "thrice").mkdir()
    for name, frame in (("users", once), ("results", results)):
        copies = [
            in_windows(frame.with_columns(protocol=pl.lit(protocol), cell=pl.col("cell") + protocol))
            for protocol in PROTOCOLS
        ]
        pl.concat(copies).write_parquet(tmp_path / "thrice" / f"{name}.parquet")
    for name in ("once", "thrice"):
        report(tmp_path / name)
    one, three = (pl.read_parquet(tmp_path / name / "comparisons.parquet") for name in ("once", "thrice"))
    for column in ("users", "difference", "low", "high", "p"):
        assert three[column].to_list() == pytest.approx(one[column].to_list(), rel=1e-9)


def test_scores_and_gains_stand_window_by_window(folder: Path) -> None:
    text = report(folder)["beauty-windows.md"]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert lines[0] == ["backbone", "fusion", "tables", "w1: 2024-01-01", "w2: 2024-02-01", "w3: 2024-03-01",
                        "gain over none", "ahead in"]  # fmt: skip
    means = read_results(folder).filter(part="test", metric="ndcg@10").group_by("fusion", "window")
    found = {(fusion, window): value for fusion, window, value in means.agg(pl.col("value").mean()).rows()}
    gains = [found["mltfr", w] / found["none", w] - 1 for w in ("w1", "w2", "w3")]
    mltfr = next(line for line in lines if line[1] == "mltfr")
    assert mltfr[3] == f"{score(found['mltfr', 'w1'])} ({percent(gains[0])})"
    assert mltfr[6] == f"{percent(np.mean(gains))[:-2]} ± {100 * np.std(gains, ddof=1):.1f} %"
    assert mltfr[7] == f"{sum(gain > 0 for gain in gains)} of 3"
    assert "w2 from 2024-02-01 to later, 48 users; w3 from 2024-03-01 to later, 60 users." in text


def test_who_lacks_a_window_is_left_out_and_named(folder: Path) -> None:
    lost = (pl.col("fusion") == "mltfr") & (pl.col("seed") == 2) & (pl.col("window") == "w2")
    for name in ("results", "users"):
        pl.read_parquet(folder / f"{name}.parquet").filter(~lost).write_parquet(folder / f"{name}.parquet")
    results = read_results(folder)
    (sentence,) = incomplete(results)
    assert sentence == "beauty / sasrec / mltfr / three, seed 2, is left out: it has 2 of 3 windows."
    rolled = rolled_cells(results)
    for frame in (pooled_results(results, rolled), pooled_users(read_users(folder), rolled)):
        assert set(frame.filter(fusion="mltfr")["seed"]) == {0, 1}
        assert set(frame.filter(fusion="none")["seed"]) == {0, 1, 2}
    assert sentence in report(folder)["summary.md"]
