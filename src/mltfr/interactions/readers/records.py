"""Delimited text read exactly, record by record, with what is wrong with the records that are no rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mltfr.interactions.ids import WHITE_SPACE, is_unicode
from mltfr.interactions.readers.blocks import lines_of
from mltfr.interactions.readers.layout import Layout

LONGEST = 1 << 26
"""Characters of a record at most, about: a quote that is open for longer is taken as one that never closes."""
BOM = "\ufeff"
_TIME = re.compile(r"""["'\s]*[-+]?\d[\d\s:./,+\-TZUCEAPM]*["'\s]*""", re.IGNORECASE)
_DOUBLED = "A quote that is part of a text is doubled, and its field stands between quotes."


@dataclass(frozen=True)
class Bad:
    """A record that is no row.

    Attributes:
        line: where it begins, or the quote that went wrong.
        found: what was found.
        expected: what should stand there, a sentence.
        alone: whether the lines behind the first belong to it, and not to other rows.
        is_bytes: whether it holds bytes that are no text.
    """

    line: int
    found: str
    expected: str
    alone: bool = False
    is_bytes: bool = False


class Records:
    """The records of some text, as Python's `csv` reads them strictly.

    After a quote that went wrong, reading goes on at the line behind the one where its record begins, so that it takes
    no other rows with it.

    Args:
        layout: how rows are laid out.
        places: the columns of user, item and, where there is one, time.
        text: whole lines, from the beginning of a record.
        line: number of the first line.
        more: returns the lines that follow, some at a time, "" at the end.
    """

    def __init__(self, layout: Layout, places: Sequence[int], text: str, line: int, more: Callable[[], str]) -> None:
        self.layout, self.places, self.line, self.more = layout, places, line, more
        self._lines = lines_of(text)
        self._end = len(self._lines)
        self._start = self._stop = self._added = 0

    def __iter__(self) -> Iterator[tuple[int, list[str]] | Bad]:
        """Yield what begins in `text`: line and fields of every row, and what is no row; no blank lines."""
        while self._start < self._end:
            self._stop = self._start
            try:
                for row in self.layout.records(self._following()):
                    bad = self._judged(row)
                    if row:
                        yield bad or (self.line + self._start, row)
                    if bad and not bad.alone:
                        break
                    self._start = self._stop
                    if self._start >= self._end:
                        return
            except csv.Error as error:
                yield self._broken(str(error))
            self._start += 1

    @property
    def text(self) -> str:
        """The record that was read last, up to where it went wrong."""
        return "".join(self._lines[self._start : self._stop])

    @property
    def rest(self) -> str:
        """What stands behind the records that were read."""
        return "".join(self._lines[self._start :])

    def _following(self) -> Iterator[str]:
        while True:
            if self._stop == len(self._lines):
                text = self.more() if self._added < LONGEST else ""
                if not text:
                    return
                self._added += len(text)
                self._lines += lines_of(text)
            self._stop += 1
            yield self._lines[self._stop - 1]

    def _judged(self, row: list[str]) -> Bad | None:
        """Return what is wrong with a record that was read."""
        width = len(self.layout.names)
        lines, line = self._lines[self._start : self._stop], self.line + self._start
        if len(row) == width and self._is_header(row):
            return Bad(line, "the names of the columns stand here", "Expected ids.", alone=True)
        if len(row) == width and len(lines) == 1 and lines[0].isascii() and "\0" not in lines[0]:
            return None  # as almost always
        if len(row) == width:
            if len(lines) > 1 and swallows(self.layout, self.places, lines):
                found = f"a quote opens here and takes in what look like rows up to line {line + len(lines) - 1}"
                return Bad(line, found, _DOUBLED)
            if any("\0" in field for field in row):
                return Bad(line, "the row holds a NUL byte", "Expected text.", alone=True)
            if not all(map(is_unicode, row)):
                return Bad(line, "the row holds bytes that are not UTF-8", "Expected text.", alone=True, is_bytes=True)
            return None
        if not row:
            return None
        over = f" and runs to line {line + len(lines) - 1}" if len(lines) > 1 else ""
        found = f"the row has {len(row)} field{'s' * (len(row) != 1)}{over}"
        ways = (False, True) if len(self.places) > 2 else (False,)
        rows = (row for text in lines[1:] for way in ways for row in _literally(self.layout, self.places, text, way))
        others = any(_is_row(self.places, row) for row in rows)
        return Bad(line, found, f"The header has {width}.", alone=not others)

    def _is_header(self, row: list[str]) -> bool:
        """Say whether a row is the header once more, as where several files were put together."""
        names = self.layout.names
        return all(row[place].strip(WHITE_SPACE + BOM) in as_in_header(names[place]) for place in self.places[:2])

    def _broken(self, reason: str) -> Bad:
        """Return what is wrong with a record whose quotes go wrong."""
        text = self.text
        last, position, quote = 0, 0, re.escape(self.layout.quote or "")
        opening = re.compile(rf"(?:\A|[{re.escape(self.layout.delimiter)}\r\n])\ *{quote}")
        closing = re.compile(rf"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}")
        while (opened := opening.search(text, position)) is not None:
            last = opened.end()
            if (closed := closing.match(text, last)) is None:
                break
            position = closed.end()
        line = self.line + self._start + len(lines_of(text[:last])) - 1
        if "unexpected end" in reason:
            return Bad(line, "a quote opens a field here and never closes", _DOUBLED)
        end = self.line + self._stop - 1
        where = f" (in line {end})" if end != line else ""
        return Bad(line, f"a field between quotes begins here, and text stands behind its end{where}", _DOUBLED)


def as_in_header(name: str) -> tuple[str, str]:
    """Return how a header may write the name of an id's column: as it is, or with its type."""
    return name, f"{name}:token"


def swallows(layout: Layout, places: Sequence[int], lines: Sequence[str]) -> bool:
    """Say whether a row with line breaks in quotes is several rows, the first and last of which have a stray quote.

    Taken literally, such lines have the width of a row, and a time where one belongs: most of them if there is a time,
    or else all. Lines of a review hardly do. Where times have eight digits or more, lines may be too wide as well.
    """
    lines = [line for line in lines if line.strip()]
    ways = (False, True) if len(places) > 2 else (False,)
    read = ([_literally(layout, places, line, wide) for line in lines] for wide in ways)
    return len(lines) > 1 and any(_are_rows(places, rows) for rows in read)


def _are_rows(places: Sequence[int], lines: Sequence[Sequence[list[str]]]) -> bool:
    """Say whether lines, each of which may be read in several ways, look like rows, and the first is one."""
    for first in lines[0]:
        if _is_row(places, first, first):
            count = sum(any(_is_row(places, row, first) for row in rows) for rows in lines[1:])
            if 2 * count >= len(lines) if len(places) > 2 else count == len(lines) - 1:
                return True
    return False


def _literally(layout: Layout, places: Sequence[int], line: str, wide: bool) -> list[list[str]]:
    """Return the fields of a line as if quotes meant nothing, [] if it is no row.

    Where lines may be too wide, they are read once for every field that may hold what is too much, and their time must
    be one for sure: eight digits or more and nothing else.
    """
    fields, width = line.rstrip("\r\n").split(layout.delimiter), len(layout.names)
    surplus = len(fields) - width
    if not wide or surplus < 0:
        return [] if surplus else [fields]
    rows = [fields[: place + 1] + fields[place + 1 + surplus :] for place in range(width if surplus else 1)]
    return [row for row in rows if _TIME.fullmatch(row[places[2]]) and sum(map(str.isdigit, row[places[2]])) >= 8]


def _is_row(places: Sequence[int], fields: Sequence[str], like: Sequence[str] | None = None) -> bool:
    """Say whether fields look like a row; where another is given, with ids like those in it."""
    timed = len(places) > 2
    if timed and not _is_time(fields[places[2]], None if like is None else like[places[2]]):
        return False
    ids = [_id(fields[place]) for place in places[:2]]
    if like is None or not all(ids):
        return all(ids)
    return all(_kind(text, timed) == _kind(_id(like[place]), timed) for text, place in zip(ids, places, strict=False))


def _is_time(text: str, like: str | None) -> bool:
    """Say whether a text may be a time: as most are written, or as another one is ("1 Jul 2020")."""
    shape = _shape(text)
    return _TIME.fullmatch(text) is not None or ("9" in shape and like is not None and shape == _shape(like))


def _shape(text: str) -> str:
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", _id(text)))


def _id(text: str) -> str:
    return text.strip("\"'")


def _kind(text: str, timed: bool) -> tuple[bool, bool]:
    """Return whether an id has spaces, and whether it is a number unless a time says enough."""
    return any(map(str.isspace, text)), text.isdigit() and not timed
