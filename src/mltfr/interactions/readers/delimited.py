"""Delimited text with a header: CSV, TSV and their kin."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns, has_usual_names
from mltfr.interactions.raw import ITEM, TIME, USER, RawTable, invalid_row
from mltfr.interactions.readers.text import damage, head, not_text, open_text, table_source

DELIMITERS = (",", "\t", ";", "|", " ")
_PIECE = 1 << 18


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read delimited text whose first line names the columns; everything stays a string here.

    Raises:
        DataError: no header with the needed columns, a row of the wrong length, or not UTF-8 text.
    """
    first = head(path).decode("utf-8-sig", errors="replace").splitlines()[0]
    delimiter = find_delimiter(first, columns)
    return read_table(path, delimiter, split_header(first, delimiter), columns, skip_invalid)


def find_delimiter(header: str, columns: Columns) -> str:
    """Return what separates the columns: what makes a user's and an item's column, else what is there."""
    for delimiter in DELIMITERS:
        if delimiter in header and has_usual_names(split_header(header, delimiter), columns):
            return delimiter
    return max(DELIMITERS, key=header.count)


def split_header(header: str, delimiter: str) -> list[str]:
    """Return the column names of a header line."""
    return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]


def read_table(
    path: Path, delimiter: str, names: list[str], columns: Columns, skip_invalid: bool, quote: str | None = '"'
) -> RawTable:
    """Read the columns of user, item and time by their place in `names`.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    wanted = columns.resolve(names, str(path))
    roles = {names.index(name): role for name, role in zip(wanted, (USER, ITEM, TIME), strict=True) if name}
    indices = sorted(roles)
    source = table_source(path)
    skipped = 0
    try:
        with damage(path):
            frame = pl.read_csv(
                source, separator=delimiter, columns=indices, infer_schema=False, quote_char=quote,
                raise_if_empty=False,
            )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        if "utf-8" in str(error).lower():
            raise not_text(path) from error
        pieces = list(read_exactly(path, delimiter, len(names), indices, quote, skip_invalid))
        frame, skipped = pl.concat([piece for piece, _ in pieces]), sum(count for _, count in pieces)
    frame.columns = [roles[index] for index in indices]
    records = partial(records_of, path, delimiter, quote)
    return _without_blank_lines(RawTable(str(path), frame, lambda row: records([row])[row][0], skipped), records)


def read_exactly(
    path: Path, delimiter: str, width: int, indices: list[int], quote: str | None, skip_invalid: bool
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Read row by row a table that polars refuses, to find the row, or to leave it out.

    Yields:
        The columns `indices` of some rows as texts, and how many others were left out; at least once.

    Raises:
        DataError: a row has the wrong length and `skip_invalid` is off, or the text is no table.
    """
    schema = [(str(index), pl.String) for index in indices]
    kept: list[list[str | None]] = []
    skipped = 0
    with open_text(path) as text:
        reader = _reader(text, delimiter, quote)
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


def records_of(path: Path, delimiter: str, quote: str | None, rows: Sequence[int]) -> dict[int, tuple[str, bool]]:
    """Return where rows stand and whether they are blank lines; quoted line breaks are counted right."""
    found: dict[int, tuple[str, bool]] = {}
    wanted = set(rows)
    with open_text(path) as text:
        reader = _reader(text, delimiter, quote)
        next(reader, None)
        for row, record in enumerate(islice(reader, max(wanted) + 1)):
            if row in wanted:
                found[row] = (f"line {reader.line_num}", not record)
    return found


def _without_blank_lines(table: RawTable, records: Callable[[Sequence[int]], dict[int, tuple[str, bool]]]) -> RawTable:
    empty = table.frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    if not empty.any():
        return table
    keep = np.ones(len(empty), dtype=bool)
    keep[[row for row, (_, blank) in records(np.flatnonzero(empty).tolist()).items() if blank]] = False
    kept = np.flatnonzero(keep)
    frame = table.frame.filter(pl.Series(keep))
    return replace(table, frame=frame, place=lambda row: table.place(int(kept[row])))


def _reader(text: Iterable[str], delimiter: str, quote: str | None) -> Any:
    if quote is None:
        return csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(text, delimiter=delimiter, quotechar=quote)
