"""Where a prepared set comes from: a table on disk that is read a batch at a time, as often as needed."""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import ITEM, TIME, USER
from mltfr.interactions.readers import delimited, frame, recbole
from mltfr.interactions.readers.text import compression, damage, head, not_text

ROW = "row"
"""Place of every row in the source, beside the columns of user, item and time."""
SMALL_BLOCK = 1 << 12
"""Least bytes of a text that are parsed together."""
ROW_BYTES = 64
"""Bytes of a text that are parsed together for every row that is asked for at a time."""
STREAMED = ("csv", "tsv", "recbole", "parquet")
"""Formats that need not fit into memory."""


class Source(ABC):
    """A table of interactions on disk.

    Attributes:
        name: the file, for messages.
        skipped: rows that were dropped because they are no rows of a table.
    """

    name: str
    skipped: int = 0

    @abstractmethod
    def batches(self, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the columns of user, item and time, in their order in the file, and `row`, `rows` at a time."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Say where a row stands."""


def open_source(
    path: Path, format: str, columns: Columns, skip_invalid: bool, work: Path, rows: int
) -> Source | None:
    """Return a table that can be read in batches; None of a format that must be read as a whole.

    Args:
        path: the file.
        format: its format.
        columns: names that were asked for.
        skip_invalid: whether rows of the wrong length are dropped instead of being an error.
        work: a folder for what is unpacked on the way.
        rows: how many are going to be read at a time.

    Raises:
        DataError: a column is missing, a row has the wrong length, or the file is damaged.
    """
    if format not in STREAMED or compression(path) == "zstd" or (format == "parquet" and compression(path) != "none"):
        return None
    if format == "parquet":
        return ParquetSource(path, columns)
    first = head(path).decode("utf-8-sig", errors="replace").splitlines()[0]
    if format == "recbole":
        return DelimitedSource(path, *recbole.columns_of(first), None, columns, skip_invalid, work, rows)
    delimiter = delimited.find_delimiter(first, columns)
    names = delimited.split_header(first, delimiter)
    return DelimitedSource(path, delimiter, names, '"', columns, skip_invalid, work, rows)


class ParquetSource(Source):
    """A Parquet file; row groups are decoded as they are needed."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.name, self.path = str(path), path
        with _parquet(path):
            self.wanted = columns.resolve(list(pl.read_parquet_schema(path)), str(path))
            self.count = int(pl.scan_parquet(path).select(pl.len()).collect().item())

    def batches(self, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the columns; ids as texts."""
        user, item, time = self.wanted
        for start in range(0, self.count, rows):
            with _parquet(self.path):
                scan = pl.scan_parquet(self.path).select(name for name in self.wanted if name)
                piece = scan.slice(start, rows).collect()
            table = frame.read(piece, Columns(user, item, time), False, self.name)
            yield table.frame.with_columns(pl.int_range(start, start + len(piece), dtype=pl.Int64).alias(ROW))

    def place(self, row: int) -> str:
        """Say where a row stands."""
        return f"row {row} (the first is 0)"


class DelimitedSource(Source):
    """Delimited text with a header; its columns are first copied to Parquet, a piece at a time."""

    def __init__(
        self,
        path: Path,
        delimiter: str,
        names: list[str],
        quote: str | None,
        columns: Columns,
        skip_invalid: bool,
        work: Path,
        rows: int,
    ) -> None:
        self.name = str(path)
        wanted = columns.resolve(names, str(path))
        roles = {names.index(name): role for name, role in zip(wanted, (USER, ITEM, TIME), strict=True) if name}
        indices = sorted(roles)
        self.roles = [roles[index] for index in indices]
        self._records = partial(delimited.records_of, path, delimiter, quote)
        self.files: list[Path] = []
        try:
            for piece in _pieces(path, delimiter, len(names), indices, quote, rows):
                self._copy(piece, work)
        except pl.exceptions.PolarsError as error:
            if "utf-8" in str(error).lower():
                raise not_text(path) from error
            self.files, self.skipped = [], 0
            for piece, skipped in delimited.read_exactly(path, delimiter, len(names), indices, quote, skip_invalid):
                self._copy(piece, work)
                self.skipped += skipped
        self.count = int(pl.scan_parquet(self.files).select(pl.len()).collect().item())
        empty = pl.scan_parquet(self.files).select(pl.all_horizontal(pl.all().is_null()).arg_true())
        nothing = empty.collect().to_series().to_list()
        blank = [row for row, (_, is_blank) in self._records(nothing).items() if is_blank] if nothing else []
        self._blank = np.array(sorted(blank), np.int64)

    def _copy(self, piece: pl.DataFrame, work: Path) -> None:
        piece.columns = self.roles
        self.files.append(work / f"columns-{len(self.files):06d}.parquet")
        piece.write_parquet(self.files[-1], row_group_size=1 << 17)

    def batches(self, rows: int) -> Iterator[pl.DataFrame]:
        """Yield the columns as texts, without blank lines."""
        for start in range(0, self.count, rows):
            piece = pl.scan_parquet(self.files).select(self.roles).slice(start, rows).collect()
            piece = piece.with_columns(pl.int_range(start, start + len(piece), dtype=pl.Int64).alias(ROW))
            first, last = np.searchsorted(self._blank, (start, start + len(piece)))
            if first < last:
                piece = piece.filter(~pl.col(ROW).is_in(self._blank[first:last].tolist()))
            yield piece

    def place(self, row: int) -> str:
        """Say where a row stands."""
        return self._records([row])[row][0]


def _pieces(
    path: Path, delimiter: str, width: int, indices: list[int], quote: str | None, rows: int
) -> Iterator[pl.DataFrame]:
    """Yield the columns `indices` of a table of text, some lines at a time.

    Only where there is no quote can lines be told apart without parsing them; the first one ends the yielding with an
    error, and the table is read row by row instead.
    """
    names = [f"column {index}" for index in range(width)]
    mark = quote.encode() if quote is not None else None
    wanted = [names[index] for index in indices]
    with damage(path), gzip.open(path) if compression(path) == "gzip" else path.open("rb") as file:
        header = file.readline()
        if mark is not None and header.count(mark) % 2:  # it goes on in the next line
            raise pl.exceptions.ComputeError("quoted")
        rest = b""
        while block := file.read(max(SMALL_BLOCK, rows * ROW_BYTES)):
            if mark is not None and mark in block:
                raise pl.exceptions.ComputeError("quoted")
            whole, end, more = (rest + block).rpartition(b"\n")
            rest = more
            if end:
                yield _parsed(whole + end, delimiter, names, quote).select(wanted)
        yield _parsed(rest, delimiter, names, quote).select(wanted)


def _parsed(block: bytes, delimiter: str, names: list[str], quote: str | None) -> pl.DataFrame:
    schema: dict[str, pl.DataType] = {name: pl.String() for name in names}
    if not block:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(
        block, has_header=False, separator=delimiter, schema=schema, quote_char=quote, raise_if_empty=False
    )


class _parquet:
    """Turns what reading a damaged Parquet file causes into one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pl.exceptions.PolarsError | OSError):
            reason = str(error).splitlines()[0]
            raise DataError(f"{self.path}: not a readable Parquet file ({reason}). Copy or write it again.") from error
