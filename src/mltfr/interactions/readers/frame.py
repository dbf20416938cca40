"""Tables that are typed already: in memory (polars, pandas, Arrow), or out of a Parquet file."""

from __future__ import annotations

from typing import Any

import polars as pl

from mltfr.errors import DataError, MissingExtraError
from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import ITEM, TIME, USER, RawTable
from mltfr.interactions.readers.mixed import kind_of, kinds_of, reject_mixed

MEMORY = "in-memory table"


def read(source: Any, columns: Columns, skip_invalid: bool, name: str = MEMORY) -> RawTable:
    """Take the columns of user, item and time out of a table in memory.

    Args:
        source: a polars, pandas or Arrow table.
        columns: names that were asked for.
        skip_invalid: whether ids of a wrong type are dropped instead of being an error.
        name: what the table is called in messages.

    Raises:
        DataError: it is no table, a column is missing, or ids are neither strings nor whole numbers.
        MissingExtraError: pandas needs pyarrow, which is not installed.
    """
    source = source.collect() if isinstance(source, pl.LazyFrame) else source
    found = columns.resolve(_names(source), name)
    roles = {role: column for role, column in zip((USER, ITEM, TIME), found, strict=True) if column}
    parts: list[pl.Series] = []
    for role, column in roles.items():
        values = _column(source, column)
        if isinstance(values, list):
            parts.append(kinds_of(values, role)) if role != TIME else None
            values = pl.Series([None if kind_of(v) is None else str(v) for v in values], dtype=pl.String)
        elif role != TIME:
            values = ids_of(values, role, name)
        parts.append(values.alias(role))
    table = RawTable(name, pl.DataFrame(parts), lambda row: f"row {row} (the first is 0)")
    for role in (USER, ITEM):
        table = reject_mixed(table, role, skip_invalid)
    return table


def _names(source: Any) -> list[str]:
    columns = getattr(source, "column_names", None) or getattr(source, "columns", None)  # Arrow has both
    if columns is None:
        raise DataError(
            f"Cannot read interactions from a {type(source).__name__}. "
            "Expected a path, or a polars, pandas or Arrow table."
        )
    return [str(name) for name in columns]


def _column(source: Any, name: str) -> pl.Series | list[object]:
    """Return a column, as Python objects where it has no type of its own."""
    library = type(source).__module__.split(".")[0]
    if library == "pandas":
        column = source[name]
        if column.dtype == object:
            return list(column)
        try:
            column = pl.from_pandas(column)
        except ImportError as error:
            raise MissingExtraError("pyarrow", "pandas") from error
    else:
        column = source[name] if library == "polars" else pl.from_arrow(source[name])
    if not isinstance(column, pl.Series):
        raise DataError(f"Cannot read interactions from a {type(source).__name__}. Expected a table.")
    return column.to_list() if column.dtype == pl.Object else column


def ids_of(values: pl.Series, role: str, name: str) -> pl.Series:
    """Return a column of ids as strings.

    Raises:
        DataError: they are neither strings nor whole numbers.
    """
    kind = values.dtype
    if kind.is_float() and (values.drop_nulls().drop_nans() % 1 == 0).all():
        values = values.fill_nan(None).cast(pl.Int64)  # integers with gaps, as pandas holds them
        kind = values.dtype
    if not (kind.is_integer() or kind in (pl.String, pl.Null) or isinstance(kind, pl.Categorical | pl.Enum)):
        raise DataError(f"{name}: {role} has type {kind}. Expected strings or whole numbers; convert the column.")
    return values.cast(pl.String)
