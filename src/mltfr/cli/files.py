"""Text files of ids and words that commands read, and tables of results that they write."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mltfr.cli.output import say
from mltfr.errors import DataError, OutputError
from mltfr.storage.files import atomic_file, check_absent

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".csv", ".parquet", ".jsonl")
STDOUT = Path("-")
"""What `--out` names to have CSV on stdout."""


def check_output(path: Path, folder: bool = False, overwrite: bool = False) -> None:
    """Refuse an output path of unknown format, or that cannot be written, before any work is done; not stdout.

    Args:
        path: where the result goes.
        folder: whether it is a folder of parts, which may have any name.
        overwrite: whether a file that is there is replaced.

    Raises:
        OutputError: the ending is not one of `SUFFIXES`, the path is a folder, there is a file that is not to be
            replaced, or it cannot be written.
    """
    if path == STDOUT:
        return
    if not folder and path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: the ending says the format; expected one of {', '.join(SUFFIXES)}.")
    if not str(path).isprintable():
        raise OutputError(f"{str(path)!a}: a file name with characters that cannot be printed. Choose another --out.")
    if path.is_dir() and not folder:
        raise OutputError(f"{path}: is a folder. Give the name of a file, or --parts to fill the folder.")
    if not folder and not overwrite:
        check_absent(path)
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"{path}: cannot be written, {there} is no folder to write to. Choose another --out.")


def write_frame(frame: pl.DataFrame, path: Path, overwrite: bool = True) -> None:
    """Write a table atomically, in the format of the file's ending, or as CSV to stdout."""
    if path == STDOUT:
        with csv_on_stdout() as file:
            frame.write_csv(file)
        return
    with atomic_file(path, overwrite) as temporary:
        if path.suffix.lower() == ".csv":
            frame.write_csv(temporary)
        elif path.suffix.lower() == ".parquet":
            frame.write_parquet(temporary)
        else:
            frame.write_ndjson(temporary)


@contextmanager
def csv_on_stdout() -> Iterator[BinaryIO]:
    """Yield what takes CSV for stdout as bytes; on a terminal nothing in it steers the terminal."""
    if sys.stdout is None:
        raise OutputError("stdout is closed. Give --out the name of a file.")
    if hasattr(sys.stdout, "buffer") and not sys.stdout.isatty():
        yield sys.stdout.buffer
        return
    with BytesIO() as file:
        yield file
        say(file.getvalue().decode().removesuffix("\n"))


def read_ids(path: Path) -> list[str]:
    """Read the ids in a text file, one a line; empty lines are skipped, and white space around ids is no part of them.

    Raises:
        DataError: the file cannot be read or is empty.
    """
    from mltfr.interactions.ids import Strip
    from mltfr.interactions.load import say as warn

    strip = Strip("ids")
    ids = [strip.text(line) for line in _lines(path)]
    if not ids:
        raise DataError(f"{path}: empty. Give one id a line.")
    warn(str(path), strip.notes)
    return ids


def read_words(path: Path) -> list[str]:
    """Read words and phrases in a text file, one a line; empty lines and lines that begin with # are skipped.

    Raises:
        DataError: the file cannot be read or is empty.
    """
    lines = [line.strip() for line in _lines(path)]
    words = [line for line in lines if line and not line.startswith("#")]
    if not words:
        raise DataError(f"{path}: empty. Give one word or phrase a line.")
    return words


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not blank, whatever its encoding and compression."""
    from mltfr.interactions.readers.text import read_lines

    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        expected = "Expected a text file, one id or word a line."
        raise DataError(f"{path}: cannot be read ({error.strerror}). {expected}") from error
    if start == b"PAR1":
        raise DataError(f"{path}: a Parquet file. Expected text, one id or word a line.")
    return read_lines(path).drop_nulls().to_list() if start else []
