"""Text out of plain, gzip and zstd files, told apart by their first bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl

from mltfr.errors import DataError

HEAD = 1 << 16
"""Bytes that are enough to recognise a format."""
SEPARATOR = "\x1f"
"""Stands in no line of text, so that a line stays one field."""
Compression = Literal["none", "gzip", "zstd"]


def compression(path: Path) -> Compression:
    """Return how a file is compressed, whatever its name.

    Raises:
        DataError: the file is missing, cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Check the path.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    if not magic:
        raise DataError(f"{path}: the file is empty. Expected one interaction a line.")
    if magic[:2] == b"\x1f\x8b":
        return "gzip"
    return "zstd" if magic == b"\x28\xb5\x2f\xfd" else "none"


def head(path: Path) -> bytes:
    """Return the first bytes of a file's content, unpacked.

    Raises:
        DataError: the file is missing, empty or damaged.
    """
    kind = compression(path)
    if kind == "zstd":
        return "\n".join(line or "" for line in _unpacked_lines(path, n_rows=1000)).encode()[:HEAD]
    with damage(path), gzip.open(path) if kind == "gzip" else path.open("rb") as file:
        return file.read(HEAD)


def head_line(path: Path) -> str:
    """Return the first line of a file's content.

    Raises:
        DataError: the file is missing, empty or damaged.
    """
    return head(path).decode("utf-8-sig", errors="replace").splitlines()[0]


def table_source(path: Path) -> Path | bytes:
    """Return what polars reads a table of text from: the path, or the unpacked bytes of a gzip file.

    Gzip goes through the standard library because polars reads a truncated one without an error in some
    versions; zstd, which the standard library lacks, goes through polars.

    Raises:
        DataError: the gzip file is truncated or damaged.
    """
    if compression(path) != "gzip":
        return path
    with damage(path), gzip.open(path) as file:
        return file.read()


def read_lines(path: Path) -> pl.Series:
    """Return a file's lines as strings, blank ones as null.

    Raises:
        DataError: the file is missing, empty, damaged, or not UTF-8 text.
    """
    lines = _unpacked_lines(path)
    return lines.set(~lines.str.contains(r"\S").fill_null(False), None)


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOBase]:
    """Open a file's content as text, for the slow and exact look at a broken one."""
    kind = compression(path)
    if kind == "zstd":
        yield io.StringIO("\n".join(line or "" for line in _unpacked_lines(path)))
        return
    with damage(path), gzip.open(path) if kind == "gzip" else path.open("rb") as file:
        yield io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")


def not_text(path: Path) -> DataError:
    """Return the error about content that is not UTF-8, naming the first such line."""
    kind = compression(path)
    if kind != "zstd":
        with gzip.open(path) if kind == "gzip" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    byte = line[error.start]
                    return DataError(
                        f"{path}, line {number}: byte 0x{byte:02x} is not UTF-8. Expected UTF-8 text. "
                        "Convert the file, for example with: iconv -f latin1 -t utf-8"
                    )
    return DataError(
        f"{path}: not UTF-8 text, or a truncated archive. Convert the content to UTF-8, or copy the file again."
    )


def _unpacked_lines(path: Path, n_rows: int | None = None) -> pl.Series:
    source = table_source(path)
    try:
        with damage(path):
            frame = pl.read_csv(
                source, has_header=False, separator=SEPARATOR, quote_char=None, infer_schema=False,
                new_columns=["line"], truncate_ragged_lines=True, raise_if_empty=False, n_rows=n_rows,
            )  # fmt: skip
    except pl.exceptions.ComputeError as error:
        raise not_text(path) from error
    return frame["line"] if frame.width else pl.Series("line", [], dtype=pl.String)


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what a damaged archive causes into one line."""
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{path}: the compressed file is truncated or damaged ({error}). Copy or download it again."
        ) from error
