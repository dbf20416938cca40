"""Delimited text with a header: CSV, TSV and their kin."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns, has_usual_names
from mltfr.interactions.raw import ITEM, TIME, USER, RawTable, invalid_row
from mltfr.interactions.readers.text import head_line, not_text, open_bytes, open_text

DELIMITERS = (",", "\t", ";", "|", " ")
_PIECE = 1 << 18


@dataclass(frozen=True)
class Layout:
    """How delimited text is laid out.

    Attributes:
        delimiter: what separates the columns.
        names: names of the columns, from the header.
        quote: mark around fields that hold a delimiter or a line break; None where there is none.
    """

    delimiter: str
    names: list[str]
    quote: str | None = '"'


@dataclass(frozen=True)
class Parsed:
    """The columns of user, item and time of delimited text, as texts in the order of the file.

    Attributes:
        tables: the table, in one piece or several.
        starts: row at which each piece begins.
        blank: rows that are blank lines, in order.
        skipped: invalid rows that were dropped.
    """

    tables: list[pl.LazyFrame]
    starts: list[int]
    blank: npt.NDArray[np.int64]
    skipped: int


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read delimited text whose first line names the columns; everything stays a string here.

    Raises:
        DataError: no header with the needed columns, a row of the wrong length, or not UTF-8 text.
    """
    return read_table(path, layout(head_line(path), columns), columns, skip_invalid)


def layout(header: str, columns: Columns) -> Layout:
    """Return the layout of delimited text from its first line."""
    delimiter = find_delimiter(header, columns)
    return Layout(delimiter, split_header(header, delimiter))


def find_delimiter(header: str, columns: Columns) -> str:
    """Return what separates the columns: what makes a user's and an item's column, else what is there."""
    for delimiter in DELIMITERS:
        if delimiter in header and has_usual_names(split_header(header, delimiter), columns):
            return delimiter
    return max(DELIMITERS, key=header.count)


def split_header(header: str, delimiter: str) -> list[str]:
    """Return the column names of a header line."""
    return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]


def read_table(path: Path, layout: Layout, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read the columns of user, item and time by their place in the layout.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    parsed = parse(path, layout, columns, skip_invalid)
    frame, blank = pl.concat(parsed.tables).collect(), parsed.blank
    kept = np.setdiff1d(np.arange(len(frame)), blank) if len(blank) else None
    frame = frame if kept is None else frame[kept]
    records = partial(records_of, path, layout)

    def place(row: int) -> str:
        row = row if kept is None else int(kept[row])
        return records([row])[row][0]

    return RawTable(str(path), frame, place, parsed.skipped)


def parse(
    path: Path, layout: Layout, columns: Columns, skip_invalid: bool, work: Path | None = None, block: int = 0
) -> Parsed:
    """Parse the columns of user, item and time.

    Args:
        path: the text, which may be compressed.
        layout: its layout.
        columns: names that were asked for.
        skip_invalid: whether rows of the wrong length are dropped instead of being an error.
        work: folder in which the table is laid down, for one that does not fit into memory.
        block: bytes of text that are then parsed together, about.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    resolved = columns.resolve(layout.names, str(path))
    roles = {layout.names.index(name): role for name, role in zip(resolved, (USER, ITEM, TIME), strict=True) if name}
    indices = sorted(roles)

    def parsed() -> Iterator[tuple[pl.DataFrame, int]]:
        for text in (_whole(path),) if work is None else _blocks(path, layout.quote, block):
            yield pl.read_csv(
                text, separator=layout.delimiter, columns=indices, infer_schema=False, quote_char=layout.quote,
                raise_if_empty=False,
            ), 0  # fmt: skip

    names = [roles[index] for index in indices]
    try:
        found = _laid_down(parsed(), names, work)
    except pl.exceptions.PolarsError as error:
        if "utf-8" in str(error).lower():
            raise not_text(path) from error
        found = _laid_down(_read_exactly(path, layout, indices, skip_invalid), names, work)
    records = records_of(path, layout, found.blank) if len(found.blank) else {}
    return replace(found, blank=np.array([row for row in found.blank.tolist() if records[row][1]], np.int64))


def _laid_down(pieces: Iterator[tuple[pl.DataFrame, int]], names: list[str], work: Path | None) -> Parsed:
    """Return pieces of a table, written to files if there is a folder for them; rows without any text are `blank`."""
    tables, sizes, blank, skipped = [], [0], [], 0
    for number, (piece, count) in enumerate(pieces):
        piece.columns = names
        empty = piece.select(pl.all_horizontal(pl.all().is_null()).arg_true()).to_series()
        blank.append(empty.cast(pl.Int64).to_numpy() + sizes[-1])
        sizes.append(sizes[-1] + len(piece))
        skipped += count
        if work is None:
            tables.append(piece.lazy())
            continue
        file = work / f"columns-{number:06d}.parquet"
        piece.write_parquet(file)
        tables.append(pl.scan_parquet(file))
    return Parsed(tables, sizes[:-1], np.concatenate(blank), skipped)


def _whole(path: Path) -> bytes:
    with open_bytes(path) as file:
        return file.read()


def _blocks(path: Path, quote: str | None, size: int) -> Iterator[bytes]:
    """Yield the text in blocks of whole rows, each with the header before it.

    A row ends with a line that an even number of quotes lies before, as polars has it.
    """
    mark = quote.encode() if quote is not None else b"\n"
    with open_bytes(path) as file:
        header = file.readline()
        while mark != b"\n" and header.count(mark) % 2 and (line := file.readline()):
            header += line
        rest, first = b"", True
        while text := file.read(size):
            text = rest + text
            end = text.rfind(b"\n") + 1
            while mark != b"\n" and end and text.count(mark, 0, end) % 2:
                end = text.rfind(b"\n", 0, end - 1) + 1
            if end:
                yield header + text[:end]
                first = False
            rest = text[end:]
        if rest or first:
            yield header + rest


def _read_exactly(
    path: Path, layout: Layout, indices: list[int], skip_invalid: bool
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Read row by row a table that polars refuses, to find the row, or to leave it out.

    Yields:
        The columns `indices` of some rows as texts, and how many others were left out; at least once.

    Raises:
        DataError: a row has the wrong length and `skip_invalid` is off, or the text is no table.
    """
    schema = [(str(index), pl.String) for index in indices]
    kept: list[list[str | None]] = []
    skipped, width = 0, len(layout.names)
    with open_text(path) as text:
        reader = _reader(text, layout)
        next(reader, None)
        try:
            for row in reader:
                if not row:
                    kept.append([None] * len(indices))  # as polars has a blank line
                elif len(row) == width:
                    kept.append([row[index] for index in indices])
                elif skip_invalid:
                    skipped += 1
                else:
                    raise invalid_row(
                        str(path), f"line {reader.line_num}", f"the row has {len(row)} fields",
                        f"The header has {width}.",
                    )  # fmt: skip
                if len(kept) == _PIECE:
                    yield pl.DataFrame(kept, schema=schema, orient="row"), skipped
                    kept, skipped = [], 0
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: not a table: {error}.") from error
    yield pl.DataFrame(kept, schema=schema, orient="row"), skipped


def records_of(path: Path, layout: Layout, rows: Iterable[int]) -> dict[int, tuple[str, bool]]:
    """Return where rows stand and whether they are blank lines; quoted line breaks are counted right."""
    found: dict[int, tuple[str, bool]] = {}
    numbers = set(rows)
    with open_text(path) as text:
        reader = _reader(text, layout)
        next(reader, None)
        for row, record in enumerate(islice(reader, max(numbers) + 1)):
            if row in numbers:
                found[row] = (f"line {reader.line_num}", not record)
    return found


def _reader(text: Iterable[str], layout: Layout) -> Any:
    if layout.quote is None:
        return csv.reader(text, delimiter=layout.delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(text, delimiter=layout.delimiter, quotechar=layout.quote)
