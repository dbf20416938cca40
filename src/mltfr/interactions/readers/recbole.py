"""RecBole's atomic files: tab-separated, every column named with its type (`user_id:token`)."""

from __future__ import annotations

import re
from pathlib import Path

from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers.delimited import Layout, read_table
from mltfr.interactions.readers.text import head_line

TYPED = re.compile(r"^[^\s:]+:(token|token_seq|float|float_seq)$")


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read an atomic file; columns are named without their type.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    return read_table(path, layout(head_line(path)), columns, skip_invalid)


def layout(header: str) -> Layout:
    """Return the layout of an atomic file from its first line; names are without their types."""
    delimiter = "\t" if "\t" in header else ","
    return Layout(delimiter, [field.strip().rsplit(":", 1)[0] for field in header.split(delimiter)], None)


def is_typed_header(line: str) -> bool:
    """Say whether a line is the header of an atomic file."""
    return all(TYPED.match(field.strip()) for field in re.split(r"[\t,]", line))
