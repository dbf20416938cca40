"""The table of blends: who their best member is, by validation, and what they gain over it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mltfr.evaluation.crossed import compare_seeds
from mltfr.report.blends import blend_table, compared_blends
from mltfr.report.comparisons import measured
from mltfr.report.frames import read_labels, read_results, read_users
from support.made_up_study import write_study

METRIC = "ndcg@10"


@pytest.mark.parametrize("best", ["none", "popularity"])
def test_a_blend_is_compared_with_its_best_member_on_validation(tmp_path: Path, best: str) -> None:
    folder = write_study(tmp_path, backbones=("sasrec",))
    results, users = read_results(folder), read_users(folder)
    rows = measured(users, METRIC)
    by_name = {row[2] or row[0]: row for row in rows}
    parts = [by_name["none"], by_name["random"], by_name["popularity"]]
    row = pl.col("fusion") == "" if best == "popularity" else pl.col("fusion") == best
    shift = pl.when((pl.col("part") == "validation") & row).then(1.0).otherwise(0.0)
    results = results.with_columns(value=pl.col("value") + shift)
    members = {(results["data"][0], by_name["mltfr"]): parts}
    (found,) = compared_blends(results, users, members, METRIC, "users-and-seeds")
    assert (found["fusion"], found["best"]) == ("mltfr", best)
    expected = compare_seeds(rows[by_name["mltfr"]].values, rows[by_name[best]].values)
    assert found["difference"] == pytest.approx(expected.difference)
    assert found["p"] == found["p_holm"] == pytest.approx(expected.p)
    table = blend_table(results, users, members, read_labels(folder), METRIC, "users-and-seeds")
    assert table is not None
    assert [cell.text for cell in table.rows[0]][table.header.index("best member")] == best
    left = users.filter(pl.col("fusion") != "random")
    assert not compared_blends(results, left, members, METRIC, "t"), "a member is not finished"
    assert blend_table(results, users, {}, read_labels(folder), METRIC, "t") is None
