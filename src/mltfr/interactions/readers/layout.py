"""How delimited text is laid out: what separates and quotes its fields, and its header."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns
from mltfr.interactions.readers.blocks import decoded, encoded, lines_of
from mltfr.interactions.readers.preamble import Preamble, find_preamble
from mltfr.interactions.readers.text import head, open_bytes

DELIMITERS = (",", "\t", ";", "|", " ", "::")
LONGEST_HEADER = 1 << 24
"""Bytes of a header at most."""
_ANY_LENGTH = (1 << 31) - 1  # of a field: a text's blocks bound it
_LIMIT = Lock()  # on the fields of all that `csv` reads in this process
_QUOTES = ('"', "'")


@dataclass(frozen=True)
class Layout:
    """How delimited text is laid out.

    Attributes:
        delimiter: what separates the columns.
        names: names of the columns.
        quote: mark around fields that hold a delimiter or a line break; None where there is none.
        escape: mark before a quote or a delimiter that is part of a field; quotes may be doubled as well.
        skip_space: whether spaces behind a delimiter belong to it.
        start: bytes of the content before the first row: the header, and what stands before it.
        line: number of the line where the first row begins.
        notes: what was passed over before it.
    """

    delimiter: str
    names: list[str]
    quote: str | None = '"'
    escape: str | None = None
    skip_space: bool = False
    start: int = 0
    line: int = 1
    notes: tuple[str, ...] = ()

    def records(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Yield the fields of every record, none for a blank line, as Python's `csv` reads them strictly.

        Raises:
            csv.Error: a quote never closes, or something stands between a closing quote and the next delimiter.
        """
        if len(self.delimiter) > 1:
            return (line.split(self.delimiter) if line else [] for line in (line.rstrip("\r\n") for line in lines))
        quoting: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if self.quote is None else {"quotechar": self.quote}
        reader = csv.reader(
            lines, delimiter=self.delimiter, escapechar=self.escape, skipinitialspace=self.skip_space, strict=True,
            **quoting,
        )  # fmt: skip
        return iter(partial(_next_record, reader), None)

    def quoting(self) -> str:
        """Say how fields are quoted."""
        if self.quote is None:
            return "as they stand, with their quotes"
        escaped = ", escaped by a backslash" if self.escape else ""
        space = ", with spaces before it" if self.skip_space else ""
        return f"as quoted by {self.quote}{escaped}{space}"

    def dialects(self, text: str) -> Iterator[Layout]:
        """Yield the other ways of quoting of which a text bears the marks, the likeliest first."""
        if self.quote is None:
            return
        quotes = (self.quote, *(quote for quote in _QUOTES if quote != self.quote))
        first = "\n" + text.split("\n", 1)[0]
        for space, other, escape in sorted(product((False, True), repeat=3), key=sum):
            way = replace(
                self, quote=quotes[other], escape="\\" if escape else self.escape, skip_space=space or self.skip_space
            )
            begins = [before + " " * space + quotes[other] for before in ("\n", self.delimiter)]
            marked = any(begin in first for begin in begins) if space or other else True
            if way != self and marked and (not escape or "\\" in text):
                yield way
        if self.delimiter == "\t":  # tables with tabs have no quoting of their own
            yield replace(self, quote=None, escape=None, skip_space=False)


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next record, whose fields may have any length, or None; `csv` keeps the limit that others gave it."""
    with _LIMIT:
        limit = csv.field_size_limit(_ANY_LENGTH)
        try:
            return next(reader, None)
        finally:
            csv.field_size_limit(limit)


def find_layout(path: Path, columns: Columns) -> Layout:
    """Return the layout of a file whose first record names the columns.

    Raises:
        DataError: the file cannot be read, or its header is no record.
    """
    before = preamble(path, columns)
    if columns.names:
        return _without_header(path, columns, before)
    if (found := usual_layout(path, columns, before)) is not None:
        return found
    headers = []
    for delimiter in (before.delimiter,) if before.delimiter else DELIMITERS:
        with suppress(csv.Error):
            headers.append(with_header(path, _plain(delimiter), before))
    if not headers:
        raise _unclosed(path, before)
    return max(headers, key=lambda layout: len(layout.names))


def _plain(delimiter: str) -> Layout:
    """Return the usual way of quoting: beside a delimiter of several characters, quotes are characters like others."""
    return Layout(delimiter, [], quote='"' if len(delimiter) == 1 else None)


def usual_layout(path: Path, columns: Columns, before: Preamble) -> Layout | None:
    """Return the layout in which the first record names the columns of users and items, None if there is none.

    Raises:
        DataError: the file cannot be read, or there are such names and a quote that never closes.
    """
    start = head(path, before.start).decode(errors="replace")
    delimiters = (before.delimiter,) if before.delimiter else DELIMITERS
    for delimiter in delimiters:
        if delimiter in start:
            plain = _plain(delimiter)
            for layout in (plain, *plain.dialects(start)):
                with suppress(csv.Error):
                    found = with_header(path, layout, before)
                    if columns.are_usual(found.names):
                        return found
    for delimiter in delimiters:
        if columns.are_usual([name.strip("\"' ") for name in before.first.split(delimiter)]):
            raise _unclosed(path, before)
    return None


def _unclosed(path: Path, before: Preamble) -> DataError:
    where = f"{path}, line {before.lines + 1}"
    return DataError(f"{where}: a quote opens in the header and never closes. Close it, or remove it.")


def preamble(path: Path, columns: Columns) -> Preamble:
    """Return what stands before the header, or the first row; a header may begin with `#`."""

    def is_header(line: str) -> bool:
        marks = [mark for mark in DELIMITERS if mark != " " and mark in line]  # a name alone makes no header
        return any(columns.are_usual(line.split(mark)) for mark in marks)

    return find_preamble(path, is_header)


def _without_header(path: Path, columns: Columns, before: Preamble) -> Layout:
    widths: dict[str, int] = {}
    for delimiter in (before.delimiter,) if before.delimiter else DELIMITERS:
        widths[delimiter] = before.first.count(delimiter) + 1
        with suppress(csv.Error):
            widths[delimiter] = len(with_header(path, _plain(delimiter), before).names)
        if widths[delimiter] == len(columns.names):
            return replace(
                _plain(delimiter), names=list(columns.names), start=before.start, line=before.lines + 1,
                notes=before.notes,
            )  # fmt: skip
    raise DataError(
        f"{path}, line {before.lines + 1}: --columns names {len(columns.names)} columns, and the line has "
        f"{max(widths.values(), default=0)}. Name every column, separated by commas."
    )


def with_header(path: Path, layout: Layout, before: Preamble) -> Layout:
    """Return a layout with the names and the end of a file's header.

    Raises:
        csv.Error: the header is no record in this layout.
        DataError: the file cannot be read.
    """
    read: list[str] = []
    with open_bytes(path) as stream:
        stream.read(before.start)

        def lines() -> Iterator[str]:
            size = 0
            while size < LONGEST_HEADER and (text := stream.readline(LONGEST_HEADER)):
                size += len(text)
                for line in lines_of(decoded(text)):
                    read.append(line)
                    yield line

        names = next(layout.records(lines()), [])
    widths = [line.count(layout.delimiter) + 1 for line in read]
    if widths[:1] == [len(names)] and 2 * widths.count(len(names)) > len(widths) + 1:
        raise csv.Error("a quote takes in rows")
    size, names = before.start + sum(len(encoded(line)) for line in read), [name.strip() for name in names]
    return replace(layout, names=names, start=size, line=before.lines + len(read) + 1, notes=before.notes)
