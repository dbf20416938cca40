"""From a table of texts to numbered interactions, checked as a table in memory is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.checks import ROW as EXPECTED_IDS
from mltfr.interactions.checks import is_empty
from mltfr.interactions.prepared.clock import Clock
from mltfr.interactions.prepared.codes import Codes
from mltfr.interactions.prepared.rows import RowFile, record_type
from mltfr.interactions.prepared.source import ROW, Source
from mltfr.interactions.raw import ITEM, TIME, USER, invalid_row
from mltfr.interactions.timestamps import EXPECTED as EXPECTED_TIME
from mltfr.interactions.timestamps import found_time

Tell = Callable[[str, int, int], None]
"""Called with what is done, how much of it is, and how much there is."""


@dataclass(frozen=True)
class Encoded:
    """Numbered interactions, as they stand in the source.

    Attributes:
        rows: the records.
        users: ids by number.
        items: ids by number.
        schema: the columns in their order, with their types.
        skipped: invalid rows that were dropped.
    """

    rows: RowFile
    users: pl.Series
    items: pl.Series
    schema: dict[str, pl.DataType]
    skipped: int


@dataclass
class _Bad:
    """Rows that one check found; the first is told."""

    expected: str
    count: int = 0
    row: int = -1
    found: str = ""
    rows_found: Callable[[object], str] = field(default=str)

    def reject(self, piece: pl.DataFrame, bad: pl.Series, column: str) -> pl.DataFrame:
        """Return a batch without the bad rows, and remember them."""
        number = int(bad.sum())
        if not number:
            return piece
        if not self.count:
            first = int(bad.arg_max() or 0)
            self.row, self.found = int(piece[ROW][first]), self.rows_found(piece[column][first])
        self.count += number
        return piece.filter(~bad)

    def raise_if_any(self, source: Source) -> None:
        if self.count:
            raise invalid_row(source.name, source.place(self.row), self.found, self.expected, self.count)


def encode(source: Source, skip_invalid: bool, path: Path, size: int, tell: Tell) -> Encoded:
    """Check a table and write it as records of numbers.

    The table is read twice: how times are read depends on all of them.

    Args:
        source: the table.
        skip_invalid: whether invalid rows are dropped instead of being an error.
        path: the file of records to write.
        size: rows in memory at a time.
        tell: hears of the progress.

    Raises:
        DataError: a row has an empty id or an unusable time and `skip_invalid` is off; or no row is left.
    """
    empty = {c: _Bad(EXPECTED_IDS, rows_found=lambda _, c=c: f"{c} is empty") for c in (USER, ITEM)}  # type: ignore[misc]
    wrong = _Bad(EXPECTED_TIME, rows_found=found_time)
    clock, usable, done = Clock(), 0, 0
    for piece in source.batches(size):
        done += len(piece)
        for column, bad in empty.items():
            piece = bad.reject(piece, is_empty(piece[column]), column)
        if TIME in piece.columns:
            clock.look(piece[TIME])
        usable += len(piece)
        tell("checking", done, 0)
    if not skip_invalid:
        for bad in empty.values():
            bad.raise_if_any(source)
    users, items, written = Codes(), Codes(), 0
    schema: dict[str, pl.DataType] = {}
    dtype = record_type(None)
    with path.open("wb") as file:
        for piece in source.batches(size):
            for column in (USER, ITEM):
                piece = piece.filter(~is_empty(piece[column]))
            if TIME in piece.columns:
                times = clock.read(piece[TIME])
                piece = wrong.reject(piece.with_columns(times.alias("read")), times.is_null(), TIME)
                piece = piece.drop(TIME).rename({"read": TIME}).select(piece.columns[:-1])
                dtype = record_type("<i8" if times.dtype == pl.Int64 else "<f8")
            schema = {name: kind for name, kind in piece.schema.items() if name != ROW}
            records = np.empty(len(piece), dtype)
            records["user"], records["item"] = users.encode(piece[USER]), items.encode(piece[ITEM])
            records["row"] = piece[ROW].to_numpy()
            if TIME in piece.columns:
                records["time"] = piece[TIME].to_numpy()
            records.tofile(file)
            written += len(records)
            tell("numbering", written, usable)
    if not skip_invalid:
        wrong.raise_if_any(source)
    skipped = source.skipped + wrong.count + sum(bad.count for bad in empty.values())
    if not written:
        raise no_rows(source.name, skipped)
    return Encoded(RowFile(path, dtype), users.ids, items.ids, schema, skipped)


def no_rows(name: str, skipped: int) -> DataError:
    """Return the error about a table that holds nothing."""
    dropped = f" ({skipped:,} invalid ones were dropped)" if skipped else ""
    return DataError(f"{name}: no usable rows{dropped}. Expected at least one user and item.")
