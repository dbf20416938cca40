"""The tables of several files as one: rows in the order of the files, numbered through."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import ROW, TIME, RawTable
from mltfr.interactions.read_as import ColumnsTaken, columns_of_files
from mltfr.interactions.readers.pieces import Pieces, open_pieces, pick
from mltfr.interactions.sources import Source


class Rows:
    """Numbers the rows of several tables through, and finds the table of a number.

    Args:
        files: the file of every table.
        places: says where a row of it stands.
        schemas: the types of its columns; of a column with several, the values become texts.

    Raises:
        DataError: some tables have times, and others have none.
    """

    def __init__(
        self, files: Sequence[Path], places: Sequence[Callable[[int], str]], schemas: Sequence[pl.Schema]
    ) -> None:
        self.files, self.places = files, places
        timed = [TIME in schema for schema in schemas]
        if any(timed) and not all(timed):
            one, other = files[timed.index(True)], files[timed.index(False)]
            raise DataError(
                f"{other}: has no column of times, and {one.name} has one. Give both the same columns, or read "
                "one of them."
            )
        self.columns = [name for name in schemas[0] if name != ROW]
        self.mixed = [name for name in self.columns if len({schema[name] for schema in schemas}) > 1]
        self.starts: list[int] = []
        self.next = 0

    def begin(self) -> None:
        """Go on with the next table."""
        self.starts.append(self.next)

    def numbered(self, piece: pl.DataFrame) -> pl.DataFrame:
        """Return some rows of the table with their numbers among all, and the columns in one order and type."""
        row = (piece if ROW in piece.columns else piece.with_row_index(ROW))[ROW].cast(pl.Int64) + self.starts[-1]
        self.next = max(self.next, int(row[-1]) + 1) if len(row) else self.next
        texts = (pl.col(name).cast(pl.String) for name in self.mixed)
        return piece.select(self.columns).with_columns(*texts, row.alias(ROW))

    def place(self, row: int) -> str:
        """Say in which file and where in it a row stands."""
        number = bisect_right(self.starts, row) - 1
        return f"{self.files[number].name}, {self.places[number](row - self.starts[number])}"


def concatenated(name: str, files: Sequence[Path], tables: Sequence[RawTable]) -> RawTable:
    """Return several tables as one.

    Args:
        name: what it is called in messages.
        files: the file of every table.
        tables: the tables, in their order.

    Raises:
        DataError: some have times, and others have none.
    """
    rows = Rows(files, [table.place for table in tables], [table.frame.schema for table in tables])
    frames = []
    for table in tables:
        rows.begin()
        frames.append(rows.numbered(table.frame))
    skipped = sum(table.skipped for table in tables)
    notes = _notes(files, [table.notes for table in tables])
    return RawTable(name, pl.concat(frames), rows.place, skipped, notes, columns=_columns(files, tables))


def chained(name: str, files: Sequence[Path], tables: Sequence[Pieces]) -> Pieces:
    """Return the pieces of several tables as those of one; see `concatenated`."""
    skipped, notes = sum(table.skipped for table in tables), _notes(files, [table.notes for table in tables])
    columns = _columns(files, tables)
    first = [next(iter(table.rows(1)), pl.DataFrame()) for table in tables]
    held = [number for number, piece in enumerate(first) if len(piece)]
    files, tables = [files[number] for number in held] or files, [tables[number] for number in held] or tables
    numbers = Rows(files, [table.place for table in tables], [first[number].schema for number in held] or [pl.Schema()])

    def rows(size: int) -> Iterator[pl.DataFrame]:
        for table in tables:
            numbers.begin()
            yield from map(numbers.numbered, table.rows(size))

    return Pieces(name, rows, numbers.place, skipped, notes, columns=columns)


def open_source(source: Source, columns: Columns, skip_invalid: bool, work: Path, memory: int) -> Pieces:
    """Open the files of one log to read them in pieces, and pick rows; see `open_pieces` for arguments and errors."""
    opened: list[Pieces] = []
    for number, (path, format) in enumerate(source.files):
        place = work / f"file-{number:06d}"
        place.mkdir()
        opened.append(open_pieces(path, format, columns, skip_invalid, place, memory))
    pieces = opened[0] if len(opened) == 1 else chained(source.name, [path for path, _ in source.files], opened)
    return pick(replace(pieces, notes=source.notes + pieces.notes), columns.where)


def _columns(files: Iterable[Path], tables: Iterable[RawTable | Pieces]) -> tuple[ColumnsTaken, ...]:
    return columns_of_files((file.name, table.columns) for file, table in zip(files, tables, strict=True))


def _notes(files: Iterable[Path], notes: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{file.name}: {note}" for file, told in zip(files, notes, strict=True) for note in told)
