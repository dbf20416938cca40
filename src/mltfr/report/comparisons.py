"""Paired comparisons of every fusion with the one that a study compares with, on the same users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.evaluation.crossed import TestName as TestName
from mltfr.evaluation.crossed import compare_seeds
from mltfr.evaluation.metrics import Values
from mltfr.evaluation.power import Spread, visible
from mltfr.evaluation.significance import holm
from mltfr.report.frames import ROW_KEY, TABLE_KEY, Row, RowName

SCHEMA = {
    "data": pl.String, "protocol": pl.String, "backbone": pl.String, "tables": pl.String, "fusion": pl.String,
    "compared_with": pl.String, "metric": pl.String, "users": pl.Int64, "seeds": pl.Int64, "mean": pl.Float64,
    "spread": pl.Float64, "other_mean": pl.Float64, "difference": pl.Float64, "relative_gain": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "p": pl.Float64, "p_holm": pl.Float64,
    "data_fingerprint": pl.String, "seeds_random": pl.Boolean, "standard_error": pl.Float64,
    "smallest_visible": pl.Float64,
}  # fmt: skip
"""Columns of `comparisons.parquet`. `low` and `high` are in units of `difference`; `seeds_random` says whether p
holds for other seeds too (`SeededTest`); `smallest_visible` is the difference that four of five studies of this size
find, before Holm's correction (`evaluation.power`); p_holm is corrected over the table's comparisons by the same
metric. With windows, `protocol` names the protocols of all of them, separated by spaces."""



@dataclass(frozen=True)
class Measured:
    """A metric by seed and user, `[S, U]`, of one row of a table."""

    values: Values
    users: tuple[str, ...]


def compare_all(
    users: pl.DataFrame, compare_with: str, metrics: Sequence[str], test: TestName, seed: int = 0
) -> pl.DataFrame:
    """Compare every fusion with `compare_with` on the same data, protocol, backbone and, if it has any, tables.

    Rows of different data or protocols are never compared. p values are corrected (Holm 1979) over all
    comparisons of one data set and protocol by one metric.

    Args:
        users: one row per cell and user, as `users.parquet`; a column `data_fingerprint` may be missing.
        compare_with: the fusion that the others are compared with.
        metrics: columns of `users`.
        test: how p is computed.
        seed: of the bootstrap.

    Raises:
        DataError: a metric is missing, a seed occurs twice, or two rows were not measured on the same users.
    """
    missing = [name for name in metrics if name not in users.columns]
    if missing:
        raise DataError(f"The users' results lack {', '.join(missing)}; they have {', '.join(users.columns)}.")
    if "data_fingerprint" not in users.columns:
        users = users.with_columns(data_fingerprint=pl.lit(""))
    found: list[Row] = []
    fusions = users.filter(pl.col("fusion") != "")
    for metric in metrics:
        for labels, rows in measured_by_table(fusions, metric):
            compared = [
                {**labels, **compare_rows(row, other, rows, test, seed)}
                for row, other in pairs(sorted(rows), compare_with)
            ]
            found += corrected(compared)
    return pl.DataFrame(found, schema=SCHEMA).sort("data", "data_fingerprint", "protocol", "metric", *ROW_KEY)


def pairs(rows: Sequence[RowName], compare_with: str) -> list[tuple[Any, Any]]:
    """Return the pairs of rows (backbone, tables, fusion) that are compared.

    With the same token tables if there is such a row, else with the one that has none, else with the only one
    there is; a row that has several to be compared with, or none, is left out.
    """
    found = []
    for row in rows:
        others = {other[1]: other for other in rows if (other[0], other[2]) == (row[0], compare_with)}
        if row[2] == compare_with or not others:
            continue
        other = others.get(row[1]) or others.get("") or (next(iter(others.values())) if len(others) == 1 else None)
        if other is not None:
            found.append((row, other))
    return found


def measured_by_table(users: pl.DataFrame, metric: str) -> Iterator[tuple[dict[str, str], dict[RowName, Measured]]]:
    """Yield the labels of every data set and protocol, the metric among them, with what `measured` returns there."""
    for key, group in users.group_by(TABLE_KEY, maintain_order=True):
        yield {**dict(zip(TABLE_KEY, key, strict=True)), "metric": metric}, measured(group, metric)


def measured(group: pl.DataFrame, metric: str) -> dict[RowName, Measured]:
    """Return a metric by (backbone, tables, fusion), from the users of one data set and protocol.

    Raises:
        DataError: a seed occurs twice, or the seeds of a row were not measured on the same users.
    """
    rows = {}
    for key, part in group.group_by(ROW_KEY, maintain_order=True):
        seeds = part["seed"].unique().sort().to_list()
        name = "/".join(str(label) for label in key if label)
        if part["cell"].n_unique() != len(seeds):
            raise DataError(f"{name}: more than one cell has the same seed ({part['cell'].n_unique()} cells).")
        ordered = part.sort("seed", "user_id")
        users = ordered.filter(pl.col("seed") == seeds[0])["user_id"].to_list()
        if ordered["user_id"].to_list() != users * len(seeds):
            raise DataError(f"{name}: its seeds were not measured on the same users. Run its cells again.")
        values = ordered[metric].to_numpy().astype(np.float64).reshape(len(seeds), len(users))  # [S, U]
        rows[key[0], key[1], key[2]] = Measured(values, tuple(users))
    return rows


def compare_rows(row: Any, other: Any, rows: Mapping[Any, Measured], test: TestName, seed: int = 0) -> Row:
    """Return the comparison of a row with another one, by the columns of `SCHEMA` from `backbone` on, without p_holm.

    Args:
        row: backbone, tables and fusion.
        other: those of what it is compared with.
        rows: as `measured` returns them.
        test: how p is computed.
        seed: of the bootstrap.

    Raises:
        DataError: the two were not measured on the same users.
    """
    first, second = rows[row], rows[other]
    if first.users != second.users:
        raise DataError(f"{'/'.join(row)} and {'/'.join(other)} were not measured on the same users.")
    result = compare_seeds(first.values, second.values, test, seed=seed)
    sides = [one.values if test == "users-and-seeds" else one.values.mean(0, keepdims=True) for one in (first, second)]
    seen = visible(Spread.of(*sides), len(first.users), (len(sides[0]), len(sides[1])))
    of_seeds, base = first.values.mean(1), float(second.values.mean())
    return {
        **dict(zip(ROW_KEY, row, strict=True)),
        "compared_with": other[2],
        "users": len(first.users),
        "seeds": len(of_seeds),
        "mean": float(of_seeds.mean()),
        "spread": float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else None,
        "other_mean": base,
        "difference": result.difference,
        "relative_gain": result.difference / base if base else None,
        "low": result.low,
        "high": result.high,
        "p": result.p,
        "seeds_random": result.seeds_random,
        "standard_error": result.standard_error,
        "smallest_visible": seen.smallest,
    }


def corrected(rows: Sequence[Row]) -> list[Row]:
    """Return comparisons with `p_holm`: p after Holm's correction over them."""
    of_all = holm({str(index): row["p"] for index, row in enumerate(rows)})
    return [{**row, "p_holm": of_all[str(index)]} for index, row in enumerate(rows)]
