"""The table of blends: what each gains over its best member, which is told on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from mltfr.evaluation.crossed import TestName
from mltfr.report.comparisons import compare_rows, corrected, measured_by_table
from mltfr.report.frames import ROW_KEY, TABLE_KEY, Labels, Row, RowName, label
from mltfr.report.result_table import tested
from mltfr.report.table import Table, TableCell, metric_name, score

Members = Mapping[tuple[str, RowName], Sequence[RowName]]
"""The rows that a blend is made of, by the label of the data set and the blend's own."""


def compared_blends(
    results: pl.DataFrame, users: pl.DataFrame, members: Members, metric: str, test: TestName
) -> list[Row]:
    """Return a row per blend whose members are all measured, as `comparisons.compare_all` does, with `best`.

    Args:
        results: as `results.parquet`.
        users: as `frames.read_users` returns it.
        members: what blends are made of.
        metric: the score.
        test: how p is computed.
    """
    validation = results.filter(pl.col("part") == "validation", pl.col("metric") == metric)
    found: list[Row] = []
    for labels, rows in measured_by_table(users, metric):
        own = validation.filter(*(pl.col(name) == labels[name] for name in TABLE_KEY))
        means = {(row["backbone"], row["tables"], row["fusion"]): row["value"]
                 for row in own.group_by(ROW_KEY).agg(pl.col("value").mean()).iter_rows(named=True)}  # fmt: skip
        compared = []
        for row in rows:
            parts = members.get((labels["data"], row), ())
            if parts and all(part in rows and part in means for part in parts):
                best = max(parts, key=means.__getitem__)
                compared.append({**labels, "best": label(best), **compare_rows(row, best, rows, test)})
        found += corrected(compared)
    return found


def blend_table(
    results: pl.DataFrame, users: pl.DataFrame, members: Members, labels: Labels, metric: str, test: TestName
) -> Table | None:
    """Return the table; None where no blend can be compared.

    Args:
        results: see `compared_blends`.
        users: see `compared_blends`.
        members: see `compared_blends`.
        labels: the order of rows.
        metric: see `compared_blends`.
        test: see `compared_blends`.
    """
    rows = sorted(compared_blends(results, users, members, metric, test), key=labels.key)
    if not rows:
        return None
    gains = ("gain over it", "95 % interval", "p", "p (Holm)")
    return Table(
        name="blends",
        title=f"Blends and their best members: {metric_name(metric)} on test",
        header=("data", "backbone", "blend", "tables", "score", "best member", "its score", *gains),
        numbers=(False,) * 4 + (True, False) + (True,) * 5,
        rows=tuple(tuple(map(TableCell, _cells(row, test))) for row in rows),
        notes=(
            "The best member is the one with the highest mean on validation. Tests, intervals and signs are those of "
            "the tables above; Holm over the blends of a data set.",
        ),
    ).without_empty_columns()


def _cells(row: Row, test: TestName) -> tuple[str, ...]:
    names = (row["data"], row["backbone"], row["fusion"], row["tables"])
    return (*names, score(row["mean"]), row["best"], score(row["other_mean"]), *tested(row, test))
