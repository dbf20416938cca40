"""Tables without the usual names, told from histories: lines of one width, with a column of times or grades."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mltfr.errors import DataError, word
from mltfr.interactions.readers.layout import DELIMITERS, Layout

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[/.]\d\d?[/.]\d{4}( .*)?|.*\b[A-Z][a-z]{2}\b.*\d\d:\d\d.*")
_LOOKED_AT = 1000
_USUAL = 0.8
"""Share of the lines that have one width, at least; the others may be damaged."""
_OF_HISTORIES = ("\t", None)
"""Delimiters of histories as well as of tables; None is white space."""
_SPREAD = 4
"""The latest time of a table is at most so many times the earliest: ids of users spread farther."""


class HeaderlessError(DataError):
    """A file is a table without a header.

    Attributes:
        first: its first line.
    """

    def __init__(self, path: Path, first: str, remedy: str) -> None:
        self.first = first[:60]
        super().__init__(f"{path}: looks like a table without a header: its first line is {self.first!r}. {remedy}")


def is_table(path: Path, lines: Sequence[str]) -> bool:
    """Say whether lines are a table, whose header lacks the usual names.

    Args:
        path: the file.
        lines: its first lines that are not blank.

    Raises:
        HeaderlessError: they are a table without a header; the flag that reads it is named.
    """
    for delimiter in ("::", *(mark for mark in DELIMITERS if mark not in ("::", " ")), None):
        for rows in _readings(lines[:_LOOKED_AT], delimiter):
            width, count = Counter(map(len, rows)).most_common(1)[0]
            whole = [row for row in rows if len(row) == width]
            if width < (3 if delimiter in _OF_HISTORIES else 2) or count < _USUAL * len(rows):
                continue
            odd, names = whole[0] is not rows[0], not _numbers(rows[0])
            if _is_body(whole, delimiter) and not (odd and names):
                raise _headerless(path, lines[0], _kinds(whole))
            body = whole if odd else whole[1:]
            if names and body and _is_body(body, delimiter):
                return True
    return False


def _readings(lines: Sequence[str], delimiter: str | None) -> Iterator[list[list[str]]]:
    """Yield the fields of the lines: with what stands between quotes as one, and as they stand."""
    if delimiter is not None and any('"' in line for line in lines):
        rows: list[list[str]] = []
        with suppress(csv.Error):  # the last row may go on behind these lines
            rows.extend(row for row in Layout(delimiter, []).records(line + "\n" for line in lines) if row)
        if rows:
            yield [[field.strip() for field in row] for row in rows]
    yield [[field.strip().strip("\"'") for field in line.split(delimiter)] for line in lines]


def _is_body(rows: Sequence[Sequence[str]], delimiter: str | None) -> bool:
    """Say whether rows of one width are those of a table."""
    if delimiter not in _OF_HISTORIES and _numbers(rows[0]):
        return True
    if len({row[0] for row in rows}) <= _USUAL * len(rows) and not _is_header(rows):
        return True  # of histories a user has one
    kinds = _kinds(rows)
    return kinds.count("id") > 1 and len(set(kinds)) > 1


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Say whether the first row names columns: it alone has no number, or no date, where the others have one."""
    return any(not kind.fullmatch(column[0]) and len(column) > 1 and all(map(kind.fullmatch, column[1:]))
               for column in zip(*rows, strict=True) for kind in (_NUMBER, _DATE))  # fmt: skip


def _numbers(row: Sequence[str]) -> bool:
    return any(_NUMBER.fullmatch(field) for field in row)


def _kinds(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return what the columns look like: "time", "rating" or "id"."""
    columns = list(zip(*rows, strict=True))
    graded = len(rows) > 1 and not _small(columns[1])  # then small numbers behind the items are no items
    return [_kind(column, place, graded and place > 1) for place, column in enumerate(columns)]


def _small(column: Sequence[str]) -> bool:
    """Say whether a column holds nothing but numbers from -10 to 10."""
    return all(_NUMBER.fullmatch(value) and abs(float(value)) <= 10 for value in column)


def _kind(column: Sequence[str], place: int, graded: bool) -> str:
    if all(_DATE.fullmatch(value) for value in column):
        return "time"
    if not all(_NUMBER.fullmatch(value) for value in column):
        return "id"
    numbers = [float(value) for value in column]
    if all(1e8 <= number < 3e18 for number in numbers) and (place > 0 or max(numbers) < _SPREAD * min(numbers)):
        return "time"
    return "rating" if _small(column) and (graded or any("." in value for value in column)) else "id"


def _headerless(path: Path, first: str, kinds: Sequence[str]) -> HeaderlessError:
    other = " If its lines are histories, pass --format sequence." if len(first.split()) > 1 else ""
    names = ",".join(_names(kinds))
    remedy = f"Name its columns in their order, as in: mltfr data describe {word(path)} --columns {names}.{other}"
    return HeaderlessError(path, first, remedy)


def _names(kinds: Sequence[str]) -> list[str]:
    """Return a guess at the names of columns."""
    names = [f"column{place + 1}" for place in range(len(kinds))]
    for kind, name in (("time", "timestamp"), ("rating", "rating")):
        if kind in kinds and kinds.count("id") > 1:
            names[kinds.index(kind)] = name
    places = [place for place, kind in enumerate(kinds) if kind == "id"]
    for place, name in zip(places if len(places) > 1 else range(2), ("user_id", "item_id"), strict=False):
        names[place] = name
    return names
