"""The overview table: mean gain of each fusion on each data set, over all backbones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mltfr.evaluation.bootstrap import LEVEL, is_real
from mltfr.report.frames import TABLE_KEY, Labels
from mltfr.report.names import table_names
from mltfr.report.table import Table, TableCell, metric_name, percent


def overview(comparisons: pl.DataFrame, labels: Labels, metric: str, compare_with: str) -> Table | None:
    """Return mean relative gains with wins and losses, a column per data set; None if nothing was compared.

    A win is a gain whose p, after Holm's correction over its table, is below .05; a loss likewise. The rest are
    undecided: that nothing was found does not say that there is nothing.

    Args:
        comparisons: as `comparisons.parquet`.
        labels: the order of data sets and fusions.
        metric: the one that decides.
        compare_with: the fusion that the others are compared with.
    """
    rows = sorted(comparisons.filter(pl.col("metric") == metric).iter_rows(named=True), key=labels.key)
    if not rows:
        return None
    groups = list(dict.fromkeys(_group(row) for row in rows))
    fusions = list(dict.fromkeys((row["fusion"], row["tables"]) for row in rows))
    names = table_names(groups)
    cells = []
    for fusion, tables in fusions:
        line = [TableCell(fusion), TableCell(tables)]
        for group in groups:
            mine = [r for r in rows if (r["fusion"], r["tables"], _group(r)) == (fusion, tables, group)]
            line += [TableCell(text) for text in _summary(mine)]
        cells.append(tuple(line))
    columns = [name for group in groups for name in (names[group].title, "wins/undecided/losses")]
    seeds_random = all(row["seeds_random"] for row in rows)
    variance = "" if seeds_random else " Variance over seeds is not in all of these p values: see the tables."
    return Table(
        name="overview",
        title=f"Overview: relative gain in {metric_name(metric)} over {compare_with}",
        header=("fusion", "tables", *columns),
        numbers=(False, False, *[True] * len(columns)),
        rows=tuple(cells),
        notes=(
            "Mean over the backbones that a fusion ran on, each counting the same; wins, undecided and losses add up "
            "to their number. Wins and losses: "
            f"p (Holm over its table) below {f'{LEVEL:g}'.lstrip('0')}; the rest are undecided.{variance}",
        ),
    ).without_empty_columns()


def _group(row: Mapping[str, Any]) -> tuple[str, str, str]:
    data, fingerprint, protocol = (row[column] for column in TABLE_KEY)
    return data, fingerprint, protocol


def _summary(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    if not rows:
        return "", ""
    gains = [row["relative_gain"] for row in rows if row["relative_gain"] is not None]
    clear = [row["difference"] for row in rows if is_real(row["p_holm"])]
    wins, losses = sum(d > 0 for d in clear), sum(d < 0 for d in clear)
    mean = percent(sum(gains) / len(gains)) if gains else ""
    return mean, f"{wins}/{len(rows) - wins - losses}/{losses}"
