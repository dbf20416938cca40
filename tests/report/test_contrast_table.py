"""The table of contrasts: two rows of a study that differ in one thing, compared with each other."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mltfr.errors import ConfigError
from mltfr.evaluation.crossed import compare_seeds
from mltfr.evaluation.significance import holm
from mltfr.report.comparisons import measured
from mltfr.report.contrasts import compared_contrasts, contrast_table
from mltfr.report.frames import read_labels, read_users
from mltfr.study.config import StudyConfig
from support.made_up_study import write_study

METRIC = "ndcg@10"


def test_the_first_is_compared_with_the_second_with_the_same_tables_or_none(tmp_path: Path) -> None:
    folder = write_study(tmp_path, backbones=("sasrec", "gru4rec"))
    users = read_users(folder)
    rows = measured(users, METRIC)
    found = compared_contrasts(users, [("mltfr", "random"), ("random", "none")], METRIC, "users-and-seeds")
    assert {(row["fusion"], row["compared_with"], row["backbone"]) for row in found} == {
        (*pair, backbone) for pair in (("mltfr", "random"), ("random", "none")) for backbone in ("sasrec", "gru4rec")
    }
    for row in found:
        own = rows[row["backbone"], row["tables"], row["fusion"]]
        other = next(each for key, each in rows.items() if (key[0], key[2]) == (row["backbone"], row["compared_with"]))
        expected = compare_seeds(own.values, other.values)
        assert row["difference"] == pytest.approx(expected.difference)
        assert (row["low"], row["high"], row["p"]) == pytest.approx((expected.low, expected.high, expected.p))
    by_number = holm({str(number): row["p"] for number, row in enumerate(found)})
    assert [row["p_holm"] for row in found] == pytest.approx(list(by_number.values()))


def test_rows_of_other_tables_are_not_compared_and_baselines_go_with_every_backbone(tmp_path: Path) -> None:
    users = read_users(write_study(tmp_path, backbones=("sasrec", "gru4rec"), tables={"a": ("a",), "b": ("b",)}))
    left = users.filter(~((pl.col("fusion") == "random") & (pl.col("tables") == "a")))

    def found(first: str, second: str) -> set[tuple[str, str]]:
        rows = compared_contrasts(left, [(first, second)], METRIC, "users-and-seeds")
        return {(row["backbone"], row["tables"]) for row in rows}

    assert found("mltfr", "random") == {("sasrec", "b"), ("gru4rec", "b")}, "random with table a is not finished"
    both = {(backbone, tables) for backbone in ("sasrec", "gru4rec") for tables in ("a", "b")}
    assert found("none", "mltfr") == found("mltfr", "popularity") == both


def test_the_table_stands_in_the_order_of_the_contrasts(tmp_path: Path) -> None:
    folder = write_study(tmp_path, backbones=("sasrec", "gru4rec"))
    users, labels = read_users(folder), read_labels(folder)
    table = contrast_table(users, [("random", "none"), ("mltfr", "random")], labels, METRIC, "users-and-seeds")
    assert table is not None
    of, over = table.header.index("gain of"), table.header.index("over")
    shown = [(row[of].text, row[over].text) for row in table.rows]
    assert shown == [("random", "none")] * 2 + [("mltfr", "random")] * 2
    assert contrast_table(users, [], labels, METRIC, "t") is None
    assert contrast_table(users, [("mltfr", "names")], labels, METRIC, "t") is None, "it has not run yet"


@pytest.mark.parametrize(
    ("contrasts", "said"),
    [
        ([["mltfr", "randm"]], "no fusion, blend or baseline is 'randm'. Did you mean 'random'?"),
        ([["mltfr", "mltfr"]], "is one row"),
        ([["mltfr", "random"], ["mltfr", "random"]], "stands there twice"),
    ],
)
def test_contrasts_of_unknown_rows_and_of_one_row_are_refused(contrasts: list[list[str]], said: str) -> None:
    parts = {"data": {"d": {"name": "synthetic"}}, "backbones": {"sasrec": {}}}
    fusions: dict[str, dict[str, str]] = {"none": {}, "mltfr": {}, "random": {}}
    with pytest.raises(ConfigError, match="contrasts") as error:
        StudyConfig.parse({**parts, "fusions": fusions, "contrasts": contrasts}, "study")
    assert said in str(error.value)
