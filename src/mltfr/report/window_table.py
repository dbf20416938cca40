"""The table of a rolling split: score and gain of every recommender in every window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import polars as pl

from mltfr.report.comparisons import pairs
from mltfr.report.frames import ROW_KEY, Labels
from mltfr.report.names import TableKey, TableName
from mltfr.report.table import Table, TableCell, metric_name, percent, score

RowKey = tuple[Any, ...]


def window_tables(
    results: pl.DataFrame,
    users: pl.DataFrame,
    rolled: pl.DataFrame,
    groups: Mapping[TableKey, TableName],
    labels: Labels,
    metric: str,
    compare_with: str,
) -> list[Table]:
    """Return a table per data set with several windows.

    Args:
        results: as `results.parquet`.
        users: as `frames.read_users` returns it.
        rolled: as `windows.rolled_cells` returns it.
        groups: the names of the study's tables, in order.
        labels: the order of rows.
        metric: the one that is shown.
        compare_with: the fusion that the others are compared with.
    """
    found = results.filter(pl.col("part") == "test", pl.col("metric") == metric)
    tables = []
    for (data, fingerprint, protocol), name in groups.items():
        cells = rolled.filter(pl.col("data_fingerprint") == fingerprint, pl.col("protocol") == protocol).select("cell")
        mine = found.filter(pl.col("data") == data).join(cells, on="cell", how="semi").sort("window", "seed")
        windows = mine.unique("window", maintain_order=True)
        if len(windows) > 1:
            tested = users.join(cells, on="cell", how="semi")
            notes = _notes(windows, tested, compare_with)
            tables.append(_table(mine, windows, labels, name, metric, compare_with, notes))
    return tables


def _table(
    mine: pl.DataFrame,
    windows: pl.DataFrame,
    labels: Labels,
    name: TableName,
    metric: str,
    compare_with: str,
    notes: tuple[str, ...],
) -> Table:
    means = mine.group_by([*ROW_KEY, "window"], maintain_order=True).agg(pl.col("value").mean())
    scores: dict[RowKey, list[float]] = {}
    for *key, _, value in means.rows():
        scores.setdefault(tuple(key), []).append(value)
    order = sorted(mine.unique(ROW_KEY).iter_rows(named=True), key=labels.key)
    keys = [tuple(row[column] for column in ROW_KEY) for row in order]
    compared = dict(pairs(sorted(key for key in keys if key[2]), compare_with))
    rows = [_cells(key, scores[key], scores.get(compared.get(key, ()))) for key in keys]
    columns = [f"{row['window']}: {row['test_from']}" for row in windows.iter_rows(named=True)]
    return Table(
        name=f"{name.stem}-windows",
        title=f"{name.title}: {metric_name(metric)} on test by window",
        header=("backbone", "fusion", "tables", *columns, f"gain over {compare_with}", "ahead in"),
        numbers=(False, False, False, *[True] * (len(columns) + 2)),
        rows=tuple(rows),
        notes=notes,
    ).without_empty_columns()


def _cells(key: RowKey, scores: Sequence[float], others: Sequence[float] | None) -> tuple[TableCell, ...]:
    backbone, tables, fusion = key
    texts, gains = [score(value) for value in scores], []
    if others:
        gains = [value / other - 1 for value, other in zip(scores, others, strict=True) if other]
        texts = [f"{text} ({percent(value / other - 1)})" if other else text
                 for text, value, other in zip(texts, scores, others, strict=True)]  # fmt: skip
    gain = f"{percent(fmean(gains)).removesuffix(' %')} ± {100 * stdev(gains):.1f} %" if len(gains) > 1 else ""
    ahead = f"{sum(a > b for a, b in zip(scores, others, strict=True))} of {len(scores)}" if others else ""
    return tuple(map(TableCell, (backbone, fusion, tables, *texts, gain, ahead)))


def _notes(windows: pl.DataFrame, users: pl.DataFrame, compare_with: str) -> tuple[str, ...]:
    counts = dict(users.group_by("window").agg(pl.col("user_id").n_unique()).rows())
    times = "; ".join(
        f"{row['window']} from {row['test_from']} to {row['test_until']}, {counts.get(row['window'], 0):,} users"
        for row in windows.iter_rows(named=True)
    )
    return (
        "Mean over the seeds, in brackets the gain over what it is compared with in the same window; then the mean of "
        "these gains ± their standard deviation over the windows, and in how many windows the score is higher. That "
        f"differs from the gain over {compare_with} in the other table, where every user counts the same.",
        f"Tests: {times}. Every window is trained and validated on what lies before its test.",
    )
