"""The table of contrasts: what a row gains over another one that differs from it in one thing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import polars as pl

from mltfr.evaluation.crossed import TestName
from mltfr.report.comparisons import compare_rows, corrected, measured_by_table
from mltfr.report.frames import Labels, Row, RowName, label
from mltfr.report.result_table import tested
from mltfr.report.table import Table, TableCell, metric_name, score

Contrast = tuple[str, str]
"""Labels of two fusions, blends or baselines: the one that is asked about, and what it is compared with."""


def compared_contrasts(users: pl.DataFrame, contrasts: Sequence[Contrast], metric: str, test: TestName) -> list[Row]:
    """Return a row per contrast, backbone and table set whose two sides are measured, as `compare_all` does.

    The two are of one backbone, unless one is a baseline, and of one table set, unless one has none. `seeds` are those
    of both.

    Args:
        users: as `frames.read_users` returns it.
        contrasts: which rows are compared with which.
        metric: the score.
        test: how p is computed; Holm's correction is over the contrasts of a data set.
    """
    found: list[Row] = []
    for labels, rows in measured_by_table(users, metric):
        compared = []
        for pair in contrasts:
            for one, other in product(sorted(rows), sorted(rows)):
                if (label(one), label(other)) == pair and _fit(one, other):
                    tables, seeds = one[1] or other[1], f"{len(rows[one].values)}, {len(rows[other].values)}"
                    own = {"pair": pair, "tables": tables, "seeds": seeds}
                    compared.append({**labels, **compare_rows(one, other, rows, test), **own})
        found += corrected(compared)
    return found


def _fit(one: RowName, other: RowName) -> bool:
    of_one_backbone = one[0] == other[0] or not one[2] or not other[2]
    return of_one_backbone and (one[1] == other[1] or not one[1] or not other[1])


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
        return order[row["pair"]], labels.key(row)

    rows = sorted(compared_contrasts(users, contrasts, metric, test), key=place)
    if not rows:
        return None
    return Table(
        name="contrasts",
        title=f"What is owed to what: {metric_name(metric)} on test",
        header=("gain of", "over", "data", "backbone", "tables", "seeds", "score", "the other's", "gain",
                "95 % interval", "p", "p (Holm)"),
        numbers=(False,) * 5 + (True,) * 7,
        rows=tuple(tuple(map(TableCell, _cells(row, test))) for row in rows),
        notes=(
            "Seeds of the two. Tests, intervals and signs are those of the tables of results; Holm over the contrasts "
            "of a data set.",
        ),
    ).without_empty_columns()  # fmt: skip


def _cells(row: Row, test: TestName) -> tuple[str, ...]:
    names = (*row["pair"], row["data"], row["backbone"], row["tables"], row["seeds"])
    return (*names, score(row["mean"]), score(row["other_mean"]), *tested(row, test))
