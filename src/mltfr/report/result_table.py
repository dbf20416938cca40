"""The table of one data set under one protocol: scores, gains and tests of every recommender."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import polars as pl

from mltfr.evaluation.crossed import TestName
from mltfr.report.frames import ROW_KEY, TABLE_KEY, Labels, Row
from mltfr.report.names import table_names
from mltfr.report.table import Table, TableCell, metric_name, p_value, percent, score, spread
from mltfr.report.table_notes import notes_of


def result_tables(
    results: pl.DataFrame,
    comparisons: pl.DataFrame,
    labels: Labels,
    metrics: Sequence[str],
    compare_with: str,
    test: TestName,
) -> list[Table]:
    """Return one table per data set, fingerprint and protocol; numbers of two of them never share one.

    Args:
        results: as `results.parquet`.
        comparisons: as `comparisons.parquet`.
        labels: the order of data sets and rows.
        metrics: the columns; gains and tests are by the first.
        compare_with: the fusion that the others are compared with.
        test: how p was computed, for the notes.
    """
    rows = sorted(summarised(results, metrics), key=labels.key)
    groups = list(dict.fromkeys(_key(row, TABLE_KEY) for row in rows))
    names = table_names(groups)
    compared = {_key(row, (*TABLE_KEY, *ROW_KEY)): row for row in comparisons.iter_rows(named=True)
                if row["metric"] == metrics[0]}  # fmt: skip
    tables = []
    for group in groups:
        mine = [row for row in rows if _key(row, TABLE_KEY) == group]
        found = [compared.get(_key(row, (*TABLE_KEY, *ROW_KEY))) for row in mine]
        kinds = ["baseline" if not row["fusion"] else row["backbone"] for row in mine]
        tables.append(
            Table(
                name=names[group].stem,
                title=f"{names[group].title}: test{_windows(group)}",
                header=_header(metrics, compare_with),
                numbers=(False,) * 3 + (True,) * (len(metrics) + 7),
                rows=tuple(_cells(row, other, mine, metrics, test) for row, other in zip(mine, found, strict=True)),
                notes=tuple(notes_of(group, mine, [row for row in found if row], metrics[0], compare_with, test)),
                sections=tuple(index for index, (a, b) in enumerate(pairwise(kinds), 1) if a != b),
            ).without_empty_columns()
        )
    return tables


def summarised(results: pl.DataFrame, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row per recommender: means and spreads over its seeds, zero-branch score, parameters, seeds."""
    labels = [*TABLE_KEY, *ROW_KEY]
    test = results.filter((pl.col("part") == "test") & pl.col("metric").is_in(list(metrics)))
    value = pl.col("value").sort_by("seed")  # sums in one order, whatever order the cells were finished in
    means = test.group_by([*labels, "metric"]).agg(mean=value.mean(), spread=value.std())
    zero = results.filter((pl.col("part") == "zero_branch") & (pl.col("metric") == metrics[0]))
    of_zero = {_key(row, labels): row["zero"] for row in zero.group_by(labels).agg(zero=value.mean()).to_dicts()}
    whole = test.group_by(labels).agg(
        seeds=pl.col("seed").unique().sort(), parameters=pl.col("parameters").max(), cells=pl.col("cell").n_unique()
    )
    rows = {_key(row, labels): {**row, "mean": {}, "spread": {}} for row in whole.to_dicts()}
    for row in means.to_dicts():
        rows[_key(row, labels)]["mean"][row["metric"]] = row["mean"]
        rows[_key(row, labels)]["spread"][row["metric"]] = row["spread"]
    return [{**row, "zero": of_zero.get(key)} for key, row in rows.items()]


def _header(metrics: Sequence[str], compare_with: str) -> tuple[str, ...]:
    gains = (f"gain over {compare_with}", "95 % interval", "p", "p (Holm)")
    return ("backbone", "fusion", "tables", *map(metric_name, metrics), *gains, "parameters", "zero branch", "seeds")


def _cells(
    row: Row, compared: Row | None, all_rows: Sequence[Row], metrics: Sequence[str], test: TestName
) -> tuple[TableCell, ...]:
    rivals = [other for other in all_rows if other["backbone"] == row["backbone"] and other["fusion"]]
    scores = []
    for metric in metrics:
        mean = row["mean"].get(metric)
        text = "" if mean is None else spread(mean, row["spread"][metric])
        best = max((score(other["mean"].get(metric)) for other in rivals), default="")
        bold = len(rivals) > 1 and bool(text) and bool(row["fusion"]) and score(mean) == best
        scores.append(TableCell(text, bold))
    labels = [TableCell(row["backbone"]), TableCell(row["fusion"]), TableCell(row["tables"])]
    parameters = f"{row['parameters']:,}" if row["parameters"] else ""
    zero = score(row["zero"]) if row["fusion"] else ""
    rest = [*tested(compared, test), parameters, zero, str(len(row["seeds"]))]
    return (*labels, *scores, *map(TableCell, rest))


def tested(compared: Row | None, test: TestName) -> tuple[str, str, str, str]:
    """Return gain, interval, p and p after Holm of a comparison as a table has them; empty where there is none."""
    if compared is None:
        return ("", "", "", "")
    base = compared["other_mean"]
    interval = f"{percent(compared['low'] / base)} to {percent(compared['high'] / base)}" if base else ""
    mark = "†" if test == "users-and-seeds" and not compared["seeds_random"] else ""
    p, holm = (p_value(compared[key]) + mark for key in ("p", "p_holm"))
    return percent(compared["relative_gain"]), interval.replace(" % to", " to"), p, holm


def _windows(group: Sequence[str]) -> str:
    windows = len(group[2].split())
    return f", mean of {windows} windows" if windows > 1 else ""


def _key(row: Row, columns: Sequence[str]) -> Any:
    return tuple(row[column] for column in columns)
