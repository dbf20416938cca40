"""Delimited text with a header: CSV, TSV and their kin.

The text is read in blocks. What a fast scan proves to be regular goes to polars, which must find as many rows; the
rest is read exactly. No row is lost on either way: each is kept, or counted as skipped, or an error.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import Path

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns, further, taken
from mltfr.interactions.ids import WHITE_SPACE
from mltfr.interactions.raw import ITEM, TIME, USER, RawTable, invalid_row
from mltfr.interactions.read_as import ColumnsTaken
from mltfr.interactions.readers.blocks import Blocks, Mark, decoded, encoded, lines_of
from mltfr.interactions.readers.layout import Layout, find_layout
from mltfr.interactions.readers.records import BOM, Bad, Records, as_in_header, swallows
from mltfr.interactions.readers.regular import STAND_IN, prove
from mltfr.interactions.readers.room import Room
from mltfr.interactions.readers.text import head, is_text, not_text, open_bytes

BLOCK = 1 << 24
"""Bytes of text that are parsed together in memory."""


class BrokenRowError(DataError):
    """A record, whose text is `record`, is no row; what was found and expected says `found`."""

    def __init__(self, message: str, record: str, found: str) -> None:
        super().__init__(message)
        self.record, self.found = record, found


@dataclass(frozen=True)
class Parsed:
    """The columns of user, item and time of delimited text, as texts in the order of the file.

    Attributes:
        path: the text.
        layout: how it was read.
        places: the columns in it.
        tables: the table, in one piece or several.
        marks: where each piece begins.
        skipped: invalid rows that were dropped.
        notes: how it was read, if not as its header says.
        columns: the columns that were taken.
    """

    path: Path
    layout: Layout
    places: Sequence[int]
    tables: list[pl.LazyFrame]
    marks: list[Mark]
    skipped: int
    notes: tuple[str, ...] = ()
    columns: tuple[ColumnsTaken, ...] = ()

    def place(self, row: int) -> str:
        """Say where a row stands."""
        mark = self.marks[bisect_right(self.marks, row, key=lambda mark: mark.row) - 1]
        text, left = Blocks(self.path, mark, BLOCK), row - mark.row
        while block := text.take():
            records = _records(text, block, mark.line, self.layout, self.places)
            for record in records:
                if not isinstance(record, Bad):
                    if not left:
                        return f"line {record[0]}"
                    left -= 1
            text.give_back(encoded(records.rest))
            mark = Mark(text.byte, text.line)
        raise IndexError(f"{self.path} has no row {row}")


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read delimited text whose first record names the columns; everything stays a string here.

    Raises:
        DataError: no header with the needed columns, a row of the wrong length, or not UTF-8 text.
    """
    return read_table(path, find_layout(path, columns), columns, skip_invalid)


def read_table(path: Path, layout: Layout, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read the columns of user, item and time by their place in the layout.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    parsed = parse(path, layout, columns, skip_invalid)
    notes = parsed.layout.notes + parsed.notes
    table = pl.concat(parsed.tables).collect()
    return RawTable(str(path), table, parsed.place, parsed.skipped, notes, columns=parsed.columns)


def parse(
    path: Path, layout: Layout, columns: Columns, skip_invalid: bool, work: Path | None = None, size: int = BLOCK
) -> Parsed:
    """Parse the columns of user, item and time.

    A table that is none as it is laid out is read in the first other way of quoting in which every row is one.

    Args:
        path: the text, which may be compressed.
        layout: its layout.
        columns: names that were asked for.
        skip_invalid: whether rows of the wrong length are dropped instead of being an error.
        work: folder in which the table is laid down, for one that does not fit into memory.
        size: bytes of text that are parsed together, about.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    names = columns.resolve(layout.names, str(path), partial(_values, path, layout))
    roles = {role: layout.names.index(name) for role, name in names.items()}
    parsed = partial(_parsed, path, roles=roles, columns=taken(names, layout.names), work=work, size=size)
    try:
        return parsed(layout)
    except BrokenRowError as error:
        for other in layout.dialects(error.record):
            with suppress(BrokenRowError):
                found = parsed(other)
                if other.quote is None and _quotes_ids(found):
                    continue
                return replace(found, notes=(f"Fields are read {other.quoting()}: only so is every row one.",))
        if not skip_invalid:
            raise _of_all(path, layout, error) from error
    return parsed(layout, skip_invalid=True)


def _first_rows(path: Path, layout: Layout) -> Iterator[list[str]]:
    """Yield the first rows, as far as they can be read."""
    with suppress(csv.Error):
        yield from filter(None, layout.records(lines_of(decoded(head(path, layout.start)))))


def _values(path: Path, layout: Layout, name: str) -> Iterator[str]:
    """Yield the values of a column, as far as they can be read."""
    place = layout.names.index(name)
    with suppress(csv.Error), open_bytes(path) as file:
        file.read(layout.start)
        rows = layout.records(io.TextIOWrapper(file, errors="surrogateescape", newline=""))
        yield from (row[place] for row in rows if len(row) == len(layout.names))


def _of_all(path: Path, layout: Layout, error: BrokenRowError) -> DataError:
    """Return the error about a record that is no row, or where the first rows are all so, about the header."""
    rows = list(_first_rows(path, layout))
    if len(rows) < 2 or any(len(row) == len(layout.names) for row in rows):
        return error
    return DataError(
        f"{error.found} It is so in all of the first {len(rows):,} rows: correct the header, which names every column, "
        "or leave it out and name them with --columns."
    )


def _quotes_ids(parsed: Parsed) -> bool:
    """Say whether a field that is read begins with a quote: then quotes are marks, and not part of texts."""
    begins = pl.any_horizontal(pl.exclude(f"^{further('.*')}$").str.strip_chars_start().str.starts_with('"').any())
    return any(table.select(begins).collect().item() for table in parsed.tables)


def _parsed(
    path: Path, layout: Layout, roles: dict[str, int], columns: tuple[ColumnsTaken, ...], work: Path | None, size: int,
    skip_invalid: bool = False,
) -> Parsed:  # fmt: skip
    """Parse a table in one layout.

    Raises:
        BrokenRowError: a record is no row, and `skip_invalid` is off.
        DataError: the text is not UTF-8, or damaged.
    """
    places = _key_places(roles)
    text, room = Blocks(path, Mark(layout.start, layout.line), size), Room(path)
    tables: list[pl.LazyFrame] = []
    marks: list[Mark] = []
    rows = skipped = 0
    while True:
        mark = Mark(text.byte, text.line, rows)
        block = text.take()
        if not block and tables:
            return Parsed(path, layout, places, tables, marks, skipped, columns=columns)
        frame, bad = _fast(block, layout, roles, text, skip_invalid) or _exact(
            path, text, block, mark, layout, roles, skip_invalid
        )
        skipped += bad
        rows += len(frame)
        marks.append(mark)
        if work is None:
            room.take(len(block))
            tables.append(frame.lazy())
        else:
            file = work / f"columns-{len(tables):06d}.parquet"
            frame.write_parquet(file)
            tables.append(pl.scan_parquet(file))


def _fast(
    block: bytes, layout: Layout, roles: dict[str, int], text: Blocks, skip_invalid: bool
) -> tuple[pl.DataFrame, int] | None:
    """Parse the rows of a block that are proven to be regular, and give the rest back.

    Returns:
        The rows, and how many headers among them were dropped; None where a row may be none.
    """
    places = _key_places(roles)
    proof = prove(block, layout, lambda row: swallows(layout, places, lines_of(row)))
    if proof is None or proof.text.startswith(BOM.encode()) or not is_text(proof.text):  # polars would pass over both
        return None
    delimiter = layout.delimiter if len(layout.delimiter) == 1 else STAND_IN.decode()
    schema = {f"column {place}": pl.String for place in range(len(layout.names))}
    try:
        frame = pl.read_csv(
            proof.text, has_header=False, schema=schema, columns=sorted(set(roles.values())), separator=delimiter,
            quote_char=layout.quote if proof.quoted else None, infer_schema=False, raise_if_empty=False,
        )  # fmt: skip
    except pl.exceptions.PolarsError:
        return None
    frame = frame.select(pl.col(f"column {place}").alias(role) for role, place in _in_order(roles))
    kept = _without_headers(frame, layout, roles)
    if len(frame) != proof.rows or (len(kept) < len(frame) and not skip_invalid):
        return None
    text.give_back(block[proof.size :])
    return kept, len(frame) - len(kept)


def _exact(
    path: Path, text: Blocks, block: bytes, mark: Mark, layout: Layout, roles: dict[str, int], skip_invalid: bool
) -> tuple[pl.DataFrame, int]:
    """Parse a block record by record; return its rows, and how many others were dropped."""
    kept: list[list[str]] = []
    skipped = 0
    records = _records(text, block, mark.line, layout, _key_places(roles))
    for record in records:
        if not isinstance(record, Bad):
            kept.append(record[1])
        elif record.is_bytes:
            raise not_text(path)
        elif skip_invalid:
            skipped += 1
        else:
            where = f"line {record.line}"
            error = invalid_row(str(path), where, record.found, record.expected)
            found = f"{path}, {where}: {record.found}. {record.expected}"
            raise BrokenRowError(str(error), records.text, found)
    text.give_back(encoded(records.rest))
    columns = {role: pl.Series([row[place] for row in kept], dtype=pl.String) for role, place in _in_order(roles)}
    return pl.DataFrame(columns), skipped


def _key_places(roles: dict[str, int]) -> list[int]:
    """Return the places of user, item and, where there is one, time."""
    return [roles[role] for role in (USER, ITEM, TIME) if role in roles]


def _in_order(roles: dict[str, int]) -> list[tuple[str, int]]:
    """Return what columns are called, and their places, in the order of the file."""
    return sorted(roles.items(), key=itemgetter(1))


def _without_headers(frame: pl.DataFrame, layout: Layout, roles: dict[str, int]) -> pl.DataFrame:
    """Return the rows that are not the header once more."""
    names = [(frame[role], layout.names[roles[role]]) for role in (USER, ITEM)]
    again = names[0][0].str.contains(names[0][1], literal=True)
    for ids, name in names:
        if not again.any():  # as almost always
            return frame
        again &= ids.str.strip_chars(WHITE_SPACE + BOM).is_in(as_in_header(name))
    return frame.filter(~again) if again.any() else frame


def _records(text: Blocks, block: bytes, line: int, layout: Layout, places: Sequence[int]) -> Records:
    return Records(layout, places, decoded(block), line, lambda: decoded(text.take()))
