"""What a study's report holds: its comparisons, its tables, and the frames that they are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mltfr.evaluation.crossed import TestName
from mltfr.report.blends import Members, blend_table
from mltfr.report.comparisons import compare_all
from mltfr.report.contrasts import Contrast, contrast_table
from mltfr.report.draws import draw_table
from mltfr.report.frames import Labels, read_draws, read_labels, read_results, read_users
from mltfr.report.names import groups_of
from mltfr.report.overview import overview
from mltfr.report.result_table import result_tables
from mltfr.report.table import Table
from mltfr.report.window_table import window_tables
from mltfr.report.windows import pooled_results, pooled_users, rolled_cells


@dataclass(frozen=True)
class Contents:
    """A study's results, put into tables.

    Attributes:
        results: as `results.parquet`.
        rolled: cells of data sets with windows.
        pooled: the results, those of windows put together.
        pooled_over: the users, likewise.
        comparisons: as `comparisons.parquet`.
        labels: the order of rows.
        tables: the tables of the report, in its order.
    """

    results: pl.DataFrame
    rolled: pl.DataFrame
    pooled: pl.DataFrame
    pooled_over: pl.DataFrame
    comparisons: pl.DataFrame
    labels: Labels
    tables: tuple[Table, ...]


def read_contents(
    folder: Path,
    metrics: Sequence[str],
    compare_with: str,
    test: TestName,
    members: Members | None = None,
    contrasts: Sequence[Contrast] = (),
) -> Contents:
    """Return what the report of a study holds; two calls on the same results return the same.

    Args:
        folder: as for `write_report`.
        metrics: the columns of the tables; gains and tests are by the first.
        compare_with: the fusion that the others are compared with.
        test: how p is computed.
        members: the rows that blends are made of.
        contrasts: pairs of rows that are compared with each other besides.

    Raises:
        RunError: the results are missing or damaged.
        DataError: the results do not fit together.
    """
    results, users, labels = read_results(folder), read_users(folder), read_labels(folder)
    rolled = rolled_cells(results)
    pooled, pooled_over = pooled_results(results, rolled), pooled_users(users, rolled)
    comparisons = compare_all(pooled_over, compare_with, metrics, test)
    found = overview(comparisons, labels, metrics[0], compare_with)
    tables = [found] if found else []
    tables += result_tables(pooled, comparisons, labels, metrics, compare_with, test)
    blended = blend_table(pooled, pooled_over, members or {}, labels, metrics[0], test)
    tables += [blended] if blended else []
    owed = contrast_table(pooled_over, contrasts, labels, metrics[0], test)
    tables += [owed] if owed else []
    ranked = draw_table(results, read_draws(folder), labels, metrics[0])
    tables += [ranked] if ranked else []
    tables += window_tables(results, users, rolled, groups_of(pooled, labels), labels, metrics[0], compare_with)
    return Contents(results, rolled, pooled, pooled_over, comparisons, labels, tuple(tables))
