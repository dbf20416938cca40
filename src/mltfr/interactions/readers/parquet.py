"""Parquet files."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers import frame
from mltfr.interactions.readers.unpack import compression


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read the needed columns of a Parquet file, whatever codec it uses inside; gzip around it is undone.

    Raises:
        DataError: the file is damaged, or its columns are not those of a log.
    """
    with readable(path):
        source = io.BytesIO(gzip.decompress(path.read_bytes())) if compression(path) == "gzip" else path
        names = pl.read_parquet_schema(source)
        present = [name for name in columns.resolve(list(names), str(path)) if name]
        table = pl.read_parquet(source, columns=present)
    return frame.read(table, columns, skip_invalid, str(path))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a damaged Parquet file causes into one line."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: not a readable Parquet file ({reason}). Copy or write it again.") from error
