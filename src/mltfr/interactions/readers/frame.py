"""Tables that are typed already: in memory (polars, pandas, Arrow, ...), or out of a Parquet file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import DataError, MissingExtraError
from mltfr.interactions.columns import Columns, is_id, taken
from mltfr.interactions.ids import id_of, id_texts, kind_of, shown
from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers.mixed import kinds_of, reject_mixed

MEMORY = "in-memory table"
EXPECTED = "Expected a path, or a polars, pandas or Arrow table."
Column = pl.Series | list[Any]
"""A column with its type, or Python objects where it has none of its own."""


def read(source: Any, columns: Columns, skip_invalid: bool, name: str = MEMORY) -> RawTable:
    """Take the columns of user, item and time out of a table in memory.

    Args:
        source: a polars, pandas or Arrow table, a structured NumPy array, a mapping of names to columns, or what
            offers itself as an Arrow stream. A pandas index is not a column.
        columns: names that were asked for.
        skip_invalid: whether ids of a wrong type are dropped instead of being an error.
        name: what the table is called in messages.

    Raises:
        DataError: it is no table, a column is missing or there twice, or ids are neither texts nor whole numbers.
        MissingExtraError: pandas needs pyarrow, which is not installed.
    """
    names, column_of = open_table(source, name)
    try:
        found = columns.resolve(names, name, column_of)
    except DataError as error:
        index = [label for label in getattr(getattr(source, "index", None), "names", ()) if label is not None]
        if not index:
            raise
        raise DataError(f"{error} The pandas index {index} is no column: call reset_index().") from error
    parts: list[pl.Series] = []
    for role, column in found.items():
        with one_line(name, column):
            parts += _texts(column_of(column), role, f"{name}: column '{column}'", skip_invalid)
    if len({len(part) for part in parts}) > 1:
        raise DataError(f"{name}: columns of different lengths ({', '.join(str(len(part)) for part in parts)}).")
    place = "row {} (the first is 0)".format
    table = RawTable(name, pl.DataFrame(parts), place, columns=taken(found, names))
    for role in filter(is_id, found):
        table = reject_mixed(table, role, skip_invalid)
    return table


def open_table(source: Any, name: str = MEMORY) -> tuple[list[str], Callable[[str], Column]]:
    """Return the names of a table's columns, and what returns the column of a name.

    Args:
        source: as for `read`.
        name: what the table is called in messages.

    Raises:
        DataError: it is no table; or, of what is returned, two columns have that name, or it cannot be read.
    """
    names, column_at = _opened(source, name)

    def column_of(column: str) -> Column:
        if names.count(column) > 1:
            raise DataError(f"{name}: {names.count(column)} columns are called '{column}'. Rename or drop one.")
        with one_line(name, column):
            return column_at(names.index(column))

    return names, column_of


def _opened(source: Any, name: str) -> tuple[list[str], Callable[[int], Column]]:
    """Return the names of a table's columns, and what returns the column at a place."""
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if isinstance(source, pl.LazyFrame):
        with one_line(name):
            source = source.collect()
    if pandas is not None and isinstance(source, pandas.DataFrame):
        frame = source
        return [str(label) for label in frame.columns], lambda place: _of_pandas(frame.iloc[:, place])
    if arrow is not None and isinstance(source, arrow.Table | arrow.RecordBatch):
        table = source
        return list(table.schema.names), lambda place: _of_arrow(table.column(place))
    if isinstance(source, Mapping):
        keys = list(source)
        return [str(key) for key in keys], lambda place: as_column(source[keys[place]])
    if isinstance(source, np.ndarray) and source.dtype.names and source.ndim == 1:
        array = source
        return list(array.dtype.names), lambda place: as_column(array[array.dtype.names[place]])
    if not isinstance(source, pl.DataFrame | pl.Series) and hasattr(source, "__arrow_c_stream__"):
        with one_line(name):
            source = pl.DataFrame(source)
    if not isinstance(source, pl.DataFrame):
        raise DataError(f"Cannot read interactions from a {type(source).__name__}. {EXPECTED}")
    found = source
    return found.columns, lambda place: _objects(found.to_series(place))


def is_table(value: Any) -> bool:
    """Say whether a value has columns with names."""
    if isinstance(value, np.ndarray):
        return bool(value.dtype.names)
    if isinstance(value, pl.Series | Mapping):
        return False
    return isinstance(value, pl.LazyFrame) or hasattr(value, "columns") or hasattr(value, "column_names")


def as_column(values: Any) -> Column:
    """Return what holds the values of one column: by place, never by label.

    Raises:
        DataError: it is no column.
    """
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if isinstance(values, pl.Series):
        return _objects(values)
    if pandas is not None and isinstance(values, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray):
        return _of_pandas(values if isinstance(values, pandas.Series) else pandas.Series(values))
    if arrow is not None and isinstance(values, arrow.Array | arrow.ChunkedArray):
        return _of_arrow(values)
    if isinstance(values, np.ndarray):
        return list(values) if values.ndim != 1 or values.dtype.kind in "OSVm" else pl.Series(values)
    if isinstance(values, str | bytes | Mapping | Set) or is_table(values) or not isinstance(values, Iterable):
        raise DataError(f"a {type(values).__name__} is no column. Give a list of values.")
    return list(values)


def _of_pandas(column: Any) -> Column:
    import pandas

    if isinstance(column.dtype, pandas.SparseDtype):
        column = column.sparse.to_dense()
    if isinstance(column.dtype, pandas.CategoricalDtype):
        codes = pl.Series(column.cat.codes.to_numpy().astype(np.int64))
        kinds = _of_pandas(pandas.Series(column.cat.categories))
        if isinstance(kinds, list):
            return [kinds[code] if code >= 0 else None for code in codes]
        return kinds.gather(codes.replace(-1, None))
    if column.dtype == object or isinstance(column.dtype, pandas.PeriodDtype):  # a period is no whole number
        return list(column.array)
    try:
        return pl.from_pandas(column.reset_index(drop=True))
    except ImportError as error:
        raise MissingExtraError("pyarrow", "pandas") from error


def _of_arrow(column: Any) -> Column:
    import pyarrow as arrow

    chunks = column.chunks if isinstance(column, arrow.ChunkedArray) else [column]
    column = arrow.chunked_array([_plain(chunk) for chunk in chunks]) if chunks else arrow.nulls(0)
    found = pl.from_arrow(column)
    return _objects(found) if isinstance(found, pl.Series) else found.to_dicts()


def _plain(chunk: Any) -> Any:
    """Return an Arrow array without what stands around its values: extension types, dictionaries, runs."""
    import pyarrow as arrow
    from pyarrow import compute

    while True:
        if isinstance(chunk, arrow.ExtensionArray):
            chunk = chunk.storage
        elif isinstance(chunk, arrow.DictionaryArray):
            chunk = chunk.dictionary_decode()
        elif isinstance(chunk, arrow.RunEndEncodedArray):
            chunk = compute.run_end_decode(chunk)
        elif arrow.types.is_decimal256(chunk.type):
            chunk = chunk.cast(arrow.decimal128(38, chunk.type.scale))
        else:
            return chunk


def _objects(column: pl.Series) -> Column:
    return column.to_list() if column.dtype == pl.Object else column


def _texts(values: Column, role: str, what: str, skip_invalid: bool) -> list[pl.Series]:
    """Return a column under the name of its role; ids as texts, with their kinds where they have no type.

    In a column with a type, numbers that are no id are an error, or missing where invalid rows are dropped.
    """
    if isinstance(values, pl.Series):
        return [(id_texts(values, what, skip_invalid) if is_id(role) else values).alias(role)]
    if set(map(type, values)) <= {str, type(None)}:
        return [pl.Series(role, values, dtype=pl.String)]
    if not is_id(role):
        texts = [None if kind_of(value) is None else _as_text(value) for value in values]
        return [pl.Series(role, texts, dtype=pl.String)]
    kinds = kinds_of(values, role)
    texts = [id_of(v, what) if kind == "number" else v if kind == "string" else None if kind is None else shown(v)
             for v, kind in zip(values, kinds, strict=True)]  # fmt: skip
    return [pl.Series(role, texts, dtype=pl.String), kinds]


def _as_text(value: Any) -> str:
    """Return a value as a text: a list or a structure as JSON, without what is missing in it."""
    return json.dumps(_present(value)) if isinstance(value, list | tuple | Mapping | np.ndarray) else str(value)


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _present(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [each for each in map(_present, value) if each is not None]
    return None if kind_of(value) is None else str(value)


@contextmanager
def one_line(name: str, column: str | None = None) -> Iterator[None]:
    """Turn what a library says of a value that it cannot hold into one line."""
    where = f"{name}: column '{column}'" if column is not None else name
    try:
        yield
    except DataError as error:
        raise error if str(error).startswith(name) else DataError(f"{where}: {error}") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ArithmeticError, AttributeError, LookupError,
            NotImplementedError, TypeError, ValueError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{where} cannot be read ({reason}). Convert it to texts or whole numbers.") from error
