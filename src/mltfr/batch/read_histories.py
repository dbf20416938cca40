"""Which form the histories of a file have: one row a user, or one interaction a row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from mltfr.batch.event_histories import EventUsers
from mltfr.batch.json_histories import JsonUsers
from mltfr.batch.parquet_histories import ParquetUsers
from mltfr.batch.users import Users
from mltfr.errors import DataError
from mltfr.interactions.columns import Columns
from mltfr.interactions.readers.parquet import parts_of
from mltfr.interactions.readers.text import head
from mltfr.interactions.reading import AS_USUAL, ReadingConfig
from mltfr.interactions.sources import refuse_runs
from mltfr.storage.foreign import foreign_parquet
from mltfr.storage.parse import parse_json


def read_histories(
    path: Path, reading: Mapping[str, Any] | None = None, usual: ReadingConfig = AS_USUAL
) -> Users:
    """Return the users of a file or a folder.

    One row a user is JSON Lines with `user_id` and `items`, or Parquet with these columns, a folder of it too; all else
    is a table of events.

    Args:
        path: the file or folder.
        reading: how a table of events is read: arguments of `load_interactions`, None where they are not given.
        usual: how it is read where nothing else is given: as a run's log.

    Raises:
        DataError: it cannot be read, or holds something else; or it has one row a user, and `reading` is given.
    """
    given = {name: value for name, value in (reading or {}).items() if value not in (None, False)}
    refuse_runs(path)
    how = usual.for_rows(given)
    is_parquet = path.is_dir() or _begins_with(path, b"PAR1")
    if not (_parquet_is_events(path, bool(given), how) if is_parquet else _text_is_events(path)):
        if given:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise DataError(f"{path}: has one row a user, and {options} is for tables of events. Leave it out.")
        return ParquetUsers(path) if is_parquet else JsonUsers(path)
    return EventUsers(path, how)


def _begins_with(path: Path, mark: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False  # the reader says why


def _parquet_is_events(path: Path, given: bool, how: Mapping[str, Any]) -> bool:
    """Say whether a Parquet file, or a folder of them, has no lists of items, but what a log has.

    Args:
        path: the file or folder.
        given: whether somebody said how the table of events is read.
        how: how one is read.
    """
    parts = parts_of(path) if path.is_dir() else [path]
    if not parts:
        return given
    with foreign_parquet(parts[0]):
        names = list(pl.read_parquet_schema(parts[0]))
    columns = Columns(how["user_column"], how["item_column"])
    nested = path.is_dir() and parts[0].parent != path
    return "items" not in names and (given or nested or columns.are_usual(names))


def _text_is_events(path: Path) -> bool:
    """Say whether a text is no JSON Lines of users with their items: neither JSON, nor is there such a line first."""
    try:
        content = head(path)
    except DataError:
        return False  # the reader of histories says the same, or more
    first = content.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0]
    if not first.startswith((b"{", b"[")):
        return bool(first)
    try:
        row = parse_json(first.decode())
    except ValueError:
        return False
    return isinstance(row, dict) and "items" not in row and len(row) > 1
