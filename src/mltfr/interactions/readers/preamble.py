"""What may stand before a table of text: blank lines, comments, and Excel's line that names the delimiter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers.blocks import lines_of
from mltfr.interactions.readers.text import LONGEST_LINE, not_text, open_bytes, read_lines, too_long

_SEPARATOR = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)


@dataclass(frozen=True)
class Preamble:
    """What stands before the header, or before the first row.

    Attributes:
        start: its bytes.
        lines: its lines.
        comments: lines of these that begin with `#` or `%`.
        delimiter: the delimiter that it names, None if it does not.
        first: the line behind it, "" if there is none.
    """

    start: int
    lines: int
    comments: int
    delimiter: str | None
    first: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it."""
        told = "comment line was" if self.comments == 1 else "comment lines were"
        return (f"{self.comments:,} {told} passed over.",) if self.comments else ()


def find_preamble(path: Path, is_header: Callable[[str], bool]) -> Preamble:
    """Return what stands before the header or the first row of a text file.

    Args:
        path: the file.
        is_header: says whether a line that begins like a comment is the header.

    Raises:
        DataError: the file is missing, empty or damaged, or a line is longer than `LONGEST_LINE`; or the header or
            first row is not UTF-8.
    """
    start = lines = comments = 0
    delimiter = None
    with open_bytes(path) as file:
        while given := file.readline(LONGEST_LINE + 1):
            if len(given) > LONGEST_LINE:
                raise too_long(path, lines + 1)
            line = given.decode(errors="replace").strip("\r\n")
            named = _SEPARATOR.fullmatch(line.strip(" ")) if delimiter is None else None
            if named:
                delimiter = named[1]
            elif line.startswith(("#", "%")) and not is_header(line):
                comments += 1
            elif line.strip():
                if "\ufffd" in line and "\ufffd".encode() not in given:  # names of columns, perhaps
                    raise not_text(path)
                return Preamble(start, lines, comments, delimiter, line)
            start, lines = start + len(given), lines + len(lines_of(given.decode(errors="replace")))
    return Preamble(start, lines, comments, delimiter, "")


def rows_of_text(path: Path) -> RawTable:
    """Return the lines behind what stands before the first row, without blank ones, in a column `line`.

    Raises:
        DataError: see `read_lines` and `find_preamble`.
    """
    lines = pl.DataFrame({"line": read_lines(path)}).with_row_index("number", offset=1).drop_nulls()
    before = find_preamble(path, lambda line: False)
    lines = lines.filter(pl.col("number") > before.lines)
    numbers = lines["number"]
    return RawTable(str(path), lines.select("line"), lambda row: f"line {numbers[row]}", notes=before.notes)
