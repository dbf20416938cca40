"""A table of interactions read in pieces: CSV and its kin by way of a Parquet file, Parquet as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from mltfr.interactions.columns import Columns
from mltfr.interactions.picking import Picker
from mltfr.interactions.raw import ROW
from mltfr.interactions.read_as import ColumnsTaken
from mltfr.interactions.readers import READERS, delimited, frame, parquet, recbole
from mltfr.interactions.readers.layout import Layout, find_layout
from mltfr.interactions.readers.room import enough_memory
from mltfr.interactions.readers.unpack import compression
from mltfr.interactions.where import Where
from mltfr.storage.foreign import foreign_parquet

LEAST_BLOCK = 1 << 12
"""Bytes of text that are parsed together at least."""
BLOCK_MEMORY = 8
"""Bytes that a byte of text takes while it is parsed."""


@dataclass(frozen=True)
class Pieces:
    """Unchecked interactions of one source, some rows at a time; see `RawTable` for the rest.

    Attributes:
        name: the file, for messages.
        rows: yields so many rows at a time at most, with the column `row`; columns keep the order of the file.
        place: says where a row stands.
        skipped: invalid rows that were dropped.
        notes: as those of a `RawTable`.
        picker: what picks the rows that are yielded, where there is a condition; its counts are those of all rows once
            these were yielded.
        columns: the columns that were taken, where the format has some.
    """

    name: str
    rows: Callable[[int], Iterator[pl.DataFrame]]
    place: Callable[[int], str]
    skipped: int = 0
    notes: tuple[str, ...] = ()
    picker: Picker | None = None
    columns: tuple[ColumnsTaken, ...] = ()


def open_pieces(path: Path, format: str, columns: Columns, skip_invalid: bool, work: Path, memory: int) -> Pieces:
    """Open a file to read it in pieces; formats other than delimited text and Parquet are read whole.

    Args:
        path: the file.
        format: its format.
        columns: names that were asked for.
        skip_invalid: whether invalid rows are dropped instead of being an error.
        work: a folder for what is parsed on the way.
        memory: bytes to stay within, about.

    Raises:
        DataError: a column is missing, a row has the wrong length, the file is damaged, or the memory does not suffice.
    """
    with enough_memory(path):
        return _opened(path, format, columns, skip_invalid, work, memory)


def pick(pieces: Pieces, where: Where | None) -> Pieces:
    """Return pieces with the rows that meet a condition; all where there is none."""
    if where is None:
        return pieces
    picker = Picker(where, pieces.name)
    return replace(pieces, rows=lambda size: picker.pieces(pieces.rows(size)), picker=picker)


def _opened(path: Path, format: str, columns: Columns, skip_invalid: bool, work: Path, memory: int) -> Pieces:
    if format == "parquet" and (path.is_dir() or compression(path) == "none"):
        return _parquet(path, columns, skip_invalid)
    if format in ("csv", "tsv", "recbole"):
        layout = recbole.find_layout(path) if format == "recbole" else find_layout(path, columns)
        return _delimited(path, layout, columns, skip_invalid, work, memory)
    table = READERS[format](path, columns, skip_invalid)
    rows = partial(_slices, table.frame.lazy(), 0)
    return Pieces(table.name, rows, table.place, table.skipped, table.notes, columns=table.columns)


def _parquet(path: Path, columns: Columns, skip_invalid: bool) -> Pieces:
    with foreign_parquet(path), enough_memory(path):
        table, found = parquet.open_needed(path, columns)

    def rows(size: int) -> Iterator[pl.DataFrame]:
        with foreign_parquet(path), enough_memory(path):
            for piece in _slices(table, 0, size):
                read = frame.read(piece, columns, skip_invalid, str(path))
                yield read.frame.with_columns(piece[ROW])

    return Pieces(str(path), rows, lambda row: f"row {row} (the first is 0)", columns=found)


def _delimited(path: Path, layout: Layout, columns: Columns, skip_invalid: bool, work: Path, memory: int) -> Pieces:
    parsed = delimited.parse(path, layout, columns, skip_invalid, work, max(LEAST_BLOCK, memory // BLOCK_MEMORY))

    def rows(size: int) -> Iterator[pl.DataFrame]:
        for table, mark in zip(parsed.tables, parsed.marks, strict=True):
            yield from _slices(table, mark.row, size)

    notes = parsed.layout.notes + parsed.notes
    return Pieces(str(path), rows, parsed.place, parsed.skipped, notes, columns=parsed.columns)


def _slices(table: pl.LazyFrame, start: int, size: int) -> Iterator[pl.DataFrame]:
    """Yield a table in slices, numbering its rows from `start` unless they have numbers."""
    rows = int(table.select(pl.len()).collect().item())
    for first in range(0, rows, size):
        piece = table.slice(first, size).collect()
        row = pl.int_range(start + first, start + first + len(piece), dtype=pl.Int64)
        yield piece if ROW in piece.columns else piece.with_columns(row.alias(ROW))
