"""Comparing a study's rows: who with whom, on which users, and never across protocols."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mltfr.errors import DataError, RunError
from mltfr.evaluation.crossed import compare_seeds
from mltfr.evaluation.power import Spread, visible
from mltfr.evaluation.significance import holm
from mltfr.report import compare_all
from mltfr.report.comparisons import SCHEMA, pairs
from mltfr.report.frames import read_labels, read_logs, read_results, read_users
from support.made_up_study import write_study


def values(users: pl.DataFrame, backbone: str, fusion: str) -> np.ndarray:
    mine = users.filter(pl.col("backbone") == backbone, pl.col("fusion") == fusion)
    return np.array([mine.filter(pl.col("seed") == seed).sort("user_id")["ndcg@10"] for seed in (0, 1, 2)])


def test_every_fusion_is_compared_with_its_own_backbone(tmp_path: Path) -> None:
    users = read_users(write_study(tmp_path))
    found = compare_all(users, "none", ["ndcg@10", "hr@10"], "users-and-seeds")
    assert found.columns == list(SCHEMA)
    by_ndcg = found.filter(pl.col("metric") == "ndcg@10")
    assert by_ndcg.select("backbone", "fusion").rows() == [
        ("gru4rec", "mltfr"), ("gru4rec", "random"), ("sasrec", "mltfr"), ("sasrec", "random")
    ]  # fmt: skip
    row = by_ndcg.row(by_predicate=(pl.col("backbone") == "sasrec") & (pl.col("fusion") == "mltfr"), named=True)
    first, second = values(users, "sasrec", "mltfr"), values(users, "sasrec", "none")
    expected = compare_seeds(first, second)
    assert (row["users"], row["seeds"], row["compared_with"], row["seeds_random"]) == (60, 3, "none", True)
    assert row["p"] == pytest.approx(expected.p)
    assert row["standard_error"] == pytest.approx(expected.standard_error)
    assert row["smallest_visible"] == visible(Spread.of(first, second), 60, (3, 3)).smallest
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["mean"] == pytest.approx(first.mean())
    assert row["spread"] == pytest.approx(first.mean(1).std(ddof=1))
    assert row["relative_gain"] == pytest.approx(first.mean() / second.mean() - 1)
    assert by_ndcg["p_holm"].to_list() == pytest.approx(
        list(holm({str(index): p for index, p in enumerate(by_ndcg["p"])}).values())
    )


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    users = read_users(write_study(tmp_path))
    found = compare_all(users, "none", ["ndcg@10"], "users-and-seeds")
    mixed = users.sample(fraction=1.0, shuffle=True, seed=1)
    assert compare_all(mixed, "none", ["ndcg@10"], "users-and-seeds").equals(found)


def test_protocols_and_data_are_never_mixed(tmp_path: Path) -> None:
    users = read_users(write_study(tmp_path, protocols=("one", "two"), backbones=("sasrec",)))
    found = compare_all(users, "none", ["ndcg@10"], "t")
    assert found.select("protocol", "fusion").rows() == [
        ("one", "mltfr"), ("one", "random"), ("two", "mltfr"), ("two", "random")
    ]  # fmt: skip
    alone = compare_all(users.filter(pl.col("protocol") == "two"), "none", ["ndcg@10"], "t")
    assert found.filter(pl.col("protocol") == "two").equals(alone)
    half = users.filter((pl.col("protocol") == "one") | (pl.col("fusion") != "none"))
    assert compare_all(half, "none", ["ndcg@10"], "t")["protocol"].unique().to_list() == ["one"]
    other = users.with_columns(data_fingerprint=pl.col("protocol"), protocol=pl.lit("same"))
    assert compare_all(other, "none", ["ndcg@10"], "t")["p"].to_list() == found["p"].to_list()


def test_what_has_token_tables_is_compared_with_the_same_tables_first() -> None:
    rows = [("b", "", "none"), ("b", "one", "mltfr"), ("b", "two", "mltfr"), ("b", "two", "random"), ("c", "", "none")]
    assert pairs(rows, "none") == [(row, rows[0]) for row in rows[1:4]]
    assert pairs(rows, "mltfr") == [(rows[3], rows[2])]  # none could be compared with either
    assert pairs([rows[0], rows[1]], "mltfr") == [(rows[0], rows[1])]


def test_what_does_not_fit_together_is_an_error(tmp_path: Path) -> None:
    users = read_users(write_study(tmp_path))
    with pytest.raises(DataError, match="lack mrr@7; they have user_id, history_length"):
        compare_all(users, "none", ["mrr@7"], "t")
    again = users.filter(pl.col("cell").str.starts_with("beauty-sasrec-random-three-0"))
    twice = pl.concat([users, again.with_columns(cell=pl.lit("again"))])
    with pytest.raises(DataError, match="sasrec/three/random: more than one cell has the same seed"):
        compare_all(twice, "none", ["hr@10"], "t")
    one_less = (pl.col("user_id") != "u5") | (pl.col("fusion") != "mltfr")
    with pytest.raises(DataError, match="sasrec/three/mltfr and sasrec//none were not measured on the same users"):
        compare_all(users.filter(one_less, pl.col("backbone") == "sasrec"), "none", ["hr@10"], "t")
    with pytest.raises(DataError, match="its seeds were not measured on the same users"):
        compare_all(users.filter(one_less | (pl.col("seed") == 0)), "none", ["hr@10"], "t")


def test_reading_a_folder(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", data=("b", "a"))
    assert read_users(folder)["data_fingerprint"].unique().sort().to_list() == ["a-print", "b-print"]
    logs = read_logs(folder)
    assert logs["kind"].unique().sort().to_list() == ["loss", "router_share", "validation"]
    assert logs.filter(pl.col("fusion") == "none")["round"].max() == 1
    assert read_labels(folder).data == ("b", "a")
    assert read_labels(tmp_path).tables == {}


def test_a_damaged_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"results.parquet: missing. It is written by: mltfr study"):
        read_results(tmp_path)
    (tmp_path / "results.parquet").write_text("no")
    with pytest.raises(RunError, match=r"results.parquet: not a readable Parquet file .* Run the study again"):
        read_results(tmp_path)
    pl.DataFrame({"cell": ["a"]}).write_parquet(tmp_path / "results.parquet")
    with pytest.raises(RunError, match="lacks the columns data, data_fingerprint, protocol"):
        read_results(tmp_path)
    folder = write_study(tmp_path / "study")
    (folder / "study.toml").write_text("= 3")
    with pytest.raises(RunError, match=r"study.toml: damaged, or no study"):
        read_labels(folder)
    next(folder.glob("cells/*/log.jsonl")).write_text("{")
    with pytest.raises(RunError, match=r"log.jsonl: damaged"):
        read_logs(folder)
