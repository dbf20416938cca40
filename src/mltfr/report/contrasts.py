"""The table of contrasts: what a row gains over another one that differs from it in one thing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mltfr.evaluation.crossed import TestName
from mltfr.report.comparisons import compare_rows, corrected, measured, pairs
from mltfr.report.frames import TABLE_KEY, Labels, Row
from mltfr.report.result_table import tested
from mltfr.report.table import Table, TableCell, metric_name, score

Contrast = tuple[str, str]
"""Labels of two fusions or blends: the one that is asked about, and what it is compared with."""


def compared_contrasts(users: pl.DataFrame, contrasts: Sequence[Contrast], metric: str, test: TestName) -> list[Row]:
    """Return a row per contrast, backbone and table set whose two sides are measured, as `compare_all` does.

    Args:
        users: as `frames.read_users` returns it.
        contrasts: which rows are compared with which.
        metric: the score.
        test: how p is computed; Holm's correction is over the contrasts of a data set.
    """
    found: list[Row] = []
    for key, group in users.group_by(TABLE_KEY, maintain_order=True):
        labels = dict(zip(TABLE_KEY, key, strict=True))
        rows = measured(group, metric)
        compared = [
            {**labels, "metric": metric, **compare_rows(row, other, rows, test)}
            for first, second in contrasts
            for row, other in pairs([row for row in sorted(rows) if row[2] in (first, second)], second)
        ]
        found += corrected(compared)
    return found


def contrast_table(
    users: pl.DataFrame, contrasts: Sequence[Contrast], labels: Labels, metric: str, test: TestName
) -> Table | None:
    """Return the table; None where no contrast can be computed.

    Args:
        users: see `compared_contrasts`.
        contrasts: see `compared_contrasts`, in the order of the rows.
        labels: the order of data sets and backbones.
        metric: see `compared_contrasts`.
        test: see `compared_contrasts`.
    """
    order = {pair: number for number, pair in enumerate(contrasts)}

    def place(row: Row) -> tuple[int, tuple[int, ...]]:
        return order[row["fusion"], row["compared_with"]], labels.key(row)

    rows = sorted(compared_contrasts(users, contrasts, metric, test), key=place)
    if not rows:
        return None
    return Table(
        name="contrasts",
        title=f"What is owed to what: {metric_name(metric)} on test",
        header=("gain of", "over", "data", "backbone", "tables", "score", "the other's", "gain", "95 % interval", "p",
                "p (Holm)"),
        numbers=(False,) * 5 + (True,) * 6,
        rows=tuple(tuple(map(TableCell, _cells(row, test))) for row in rows),
        notes=("Tests, intervals and signs are those of the tables above; Holm over the contrasts of a data set.",),
    ).without_empty_columns()  # fmt: skip


def _cells(row: Row, test: TestName) -> tuple[str, ...]:
    names = (row["fusion"], row["compared_with"], row["data"], row["backbone"], row["tables"])
    return (*names, score(row["mean"]), score(row["other_mean"]), *tested(row, test))
