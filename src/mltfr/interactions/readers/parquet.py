"""Parquet files."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.columns import ROWS, Columns, taken
from mltfr.interactions.raw import RawTable
from mltfr.interactions.read_as import ColumnsTaken
from mltfr.interactions.readers import frame
from mltfr.interactions.readers.room import Room, enough_memory
from mltfr.interactions.readers.unpack import compression, unpacked
from mltfr.storage.foreign import foreign_parquet


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read the needed columns of a Parquet file, whatever codec it uses inside; gzip or zstd around it is undone.

    Raises:
        DataError: the file is damaged, or its columns are not those of a log.
    """
    with foreign_parquet(path), enough_memory(path):
        needed, found = open_needed(path, columns)
        table = needed.collect()
    return replace(frame.read(table, columns, skip_invalid, str(path)), columns=found)


def open_needed(path: Path, columns: Columns) -> tuple[pl.LazyFrame, tuple[ColumnsTaken, ...]]:
    """Open the needed columns of a Parquet file, or of a folder of parts; return what they are read as, too.

    Raises:
        DataError: a part has other columns than the first, or they are not those of a log.
    """
    table = open_parts(path)

    def first(name: str) -> pl.Series:
        column = table.select(name).drop_nulls()
        if column.collect_schema()[name] == pl.String:
            column = column.filter(pl.col(name).str.contains(r"\S"))
        return column.head(ROWS).collect().to_series()

    names = table.collect_schema().names()
    roles = columns.resolve(names, str(path), first)
    return table.select(list(dict.fromkeys(roles.values()))), taken(roles, names)


def _unpacked(path: Path) -> io.BytesIO:
    content, room = io.BytesIO(), Room(path)
    for block in unpacked(path):
        content.write(block)
        room.take(len(block))
    content.seek(0)
    return content


def parts_of(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, as Spark writes them; what begins with `_` or `.` is none."""
    found = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
    return [path for path in found if not any(part[0] in "_." for part in path.relative_to(folder).parts)]


def open_parts(path: Path) -> pl.LazyFrame:
    """Open a Parquet file, packed or not, or a folder of parts; folders such as `date=2024-05-31` in it are a column.

    Raises:
        DataError: a part has other columns than the first.
    """
    if not path.is_dir():
        return pl.scan_parquet(_unpacked(path) if compression(path) != "none" else path)
    parts = parts_of(path)
    if not parts:
        raise DataError(f"{path}: the folder has no .parquet files.")
    first = None
    for part in parts:
        with foreign_parquet(part):
            schema = pl.read_parquet_schema(part)
        first = schema if first is None else first
        odd = next((name for name in {**first, **schema} if first.get(name) != schema.get(name)), None)
        if odd is not None:
            raise DataError(
                f"{part}: column '{odd}' is {schema.get(odd) or 'missing'}, and {first.get(odd) or 'missing'} in "
                f"{parts[0].name}. All parts must have the same columns; write them again."
            )
    return pl.scan_parquet(parts, hive_partitioning=any("=" in part.parent.name for part in parts))
