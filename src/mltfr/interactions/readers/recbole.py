"""RecBole's atomic files: tab-separated, every column named with its type (`user_id:token`)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers.delimited import read_table
from mltfr.interactions.readers.layout import Layout, preamble, with_header

TYPED = re.compile(r"^[^\s:]+:(token|token_seq|float|float_seq)$")


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read an atomic file; columns are named without their type.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the text is not UTF-8.
    """
    return read_table(path, find_layout(path), columns, skip_invalid)


def find_layout(path: Path) -> Layout:
    """Return the layout of an atomic file from its first line; names are without their types, and nothing is quoted.

    Raises:
        DataError: the file is missing, empty or damaged.
    """
    before = preamble(path, Columns())
    layout = with_header(path, Layout("\t" if "\t" in before.first else ",", [], None), before)
    return replace(layout, names=[name.rsplit(":", 1)[0] for name in layout.names])


def is_typed_header(line: str) -> bool:
    """Say whether a line is the header of an atomic file."""
    return all(TYPED.match(field.strip()) for field in re.split(r"[\t,]", line))
