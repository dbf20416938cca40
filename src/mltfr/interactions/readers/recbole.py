"""RecBole's atomic files: tab-separated, every column named with its type (`user_id:token`)."""

from __future__ import annotations

import re
from pathlib import Path

from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers.delimited import read_table
from mltfr.interactions.readers.text import head

TYPED = re.compile(r"^[^\s:]+:(token|token_seq|float|float_seq)$")


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read an atomic file; columns are named without their type.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    first = head(path).decode("utf-8-sig", errors="replace").splitlines()[0]
    return read_table(path, *columns_of(first), columns, skip_invalid, quote=None)


def columns_of(header: str) -> tuple[str, list[str]]:
    """Return what separates the columns of an atomic file, and their names without types."""
    delimiter = "\t" if "\t" in header else ","
    return delimiter, [field.strip().rsplit(":", 1)[0] for field in header.split(delimiter)]


def is_typed_header(line: str) -> bool:
    """Say whether a line is the header of an atomic file."""
    return all(TYPED.match(field.strip()) for field in re.split(r"[\t,]", line))
