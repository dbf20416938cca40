"""Small files that commands read and write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mltfr.errors import DataError, OutputError
from mltfr.fetch import atomic_path

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".csv", ".parquet", ".jsonl")


def check_output(path: Path) -> None:
    """Refuse, before any work is done, a file name that says no format.

    Raises:
        OutputError: the ending is not one of `SUFFIXES`, or the path is a folder.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(f"{path}: the ending says the format; expected one of {', '.join(SUFFIXES)}.")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder. Give the name of a file.")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a table in the format that the file's ending says, whole or not at all."""
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            frame.write_csv(temporary)
        elif path.suffix == ".parquet":
            frame.write_parquet(temporary)
        else:
            frame.write_ndjson(temporary)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty.

    Raises:
        DataError: the file cannot be read, or holds nothing.
    """
    lines = [line.strip() for line in _text(path).splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        raise DataError(f"{path}: empty. Give one id a line.")
    return lines


def read_histories(path: Path) -> dict[str, list[str]]:
    """Return histories by user from JSON Lines `{"user_id": "u1", "items": ["a", "b"]}`.

    Raises:
        DataError: a line is something else, or a user comes twice.
    """
    histories: dict[str, list[str]] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        expected = 'expected {"user_id": "u1", "items": ["a", "b"]}'
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}); {expected}.") from error
        if not isinstance(row, dict) or set(row) != {"user_id", "items"} or not isinstance(row["items"], list):
            raise DataError(f"{where}: found {line.strip()[:80]}; {expected}.")
        if not all(isinstance(value, str | int) for value in [row["user_id"], *row["items"]]):
            raise DataError(f"{where}: ids must be texts or whole numbers; {expected}.")
        user = str(row["user_id"])
        if user in histories:
            raise DataError(f"{where}: user '{user}' comes a second time. Give every user one line.")
        histories[user] = [str(item) for item in row["items"]]
    if not histories:
        raise DataError(f"{path}: empty. Give one JSON object a line.")
    return histories


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}).") from error
