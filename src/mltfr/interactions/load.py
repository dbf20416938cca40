"""From a file, a folder or a table in memory to a checked interaction log."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from mltfr.errors import DataError, MltfrWarning
from mltfr.interactions.checks import Checking, SameTime, check
from mltfr.interactions.columns import Columns
from mltfr.interactions.detect import LoneWordError, detect
from mltfr.interactions.filter_steps import Tally
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.parts import find_parts
from mltfr.interactions.picking import Picked, picked
from mltfr.interactions.prepared import PreparedSet, is_prepared, load_prepared
from mltfr.interactions.raw import ITEM, TIME, USER, RawTable
from mltfr.interactions.read_as import ReadAs, columns_of_files
from mltfr.interactions.readers import READERS, frame
from mltfr.interactions.readers.room import enough_memory
from mltfr.interactions.readers.several import concatenated
from mltfr.interactions.reading import ReadingConfig
from mltfr.interactions.sources import Source, paths_of, recognise

Log = TypeVar("Log", InteractionLog, PreparedSet)


def load_interactions(
    source: str | PathLike[str] | Sequence[str | PathLike[str]] | Any,
    *,
    format: str | None = None,
    user_column: str | None = None,
    item_column: str | None = None,
    timestamp_column: str | None = None,
    time_format: str | None = None,
    columns: str | Sequence[str] | None = None,
    skip_invalid: bool = False,
    same_time: SameTime = "refuse",
    where: str | None = None,
) -> InteractionLog | PreparedSet:
    """Read and check an interaction log, or open a prepared set.

    What was done to the rows that people should know (`InteractionLog.notes`), and how many invalid ones were dropped,
    is said by `MltfrWarning`s.

    Args:
        source: a file, a folder with a given split (`train.txt`, `test.txt`, perhaps `valid.txt`), a folder that
            `prepare` wrote, or a polars, pandas or Arrow table. Several files, and a folder of parts, are one log.
        format: one of `FORMATS`; by default it is recognised by the content.
        user_column: name of the users' column; by default the usual names are tried.
        item_column: name of the items' column; of several with commas between them, the values are joined into one id,
            with a bar between them ("Sigur Rós|Svefn-g-englar").
        timestamp_column: name of the times' column; a log without one is taken to stand in order of time.
        time_format: how dates are written, a pattern of strftime ("%d/%m/%Y %H:%M"); recognised if not given.
        columns: names of all columns of delimited text without a header, or these with commas between them.
        skip_invalid: drop invalid rows and count them (`InteractionLog.skipped`) instead of raising.
        same_time: "keep" keeps interactions that repeat another one with the same time, as `filters.same_time` says.
        where: a condition that rows must meet, over any columns of the log, as `filters.where` says ("rating >= 4");
            the others are left out, and not checked.

    Returns:
        The log, stably sorted by time where there is one; a prepared set as it is.

    Raises:
        DataError: the source is not a usable log; the message names the line, what was found and the remedy.
        ConfigError: `where` is no condition.
    """
    reading = ReadingConfig.of(format, user_column, item_column, timestamp_column, time_format, columns, skip_invalid)
    names = reading.names(where)
    how = Checking(skip_invalid, time_format, same_time)
    paths = paths_of(source)
    if paths is None:
        table, count = picked(frame.read(source, names, skip_invalid), names.where)
        return said(replace(_log(check(table, how), how, count), reading=reading))
    if len(paths) == 1 and is_prepared(paths[0]):
        made = load_prepared(paths[0])
        if reading not in (ReadingConfig(), made.reading):
            raise DataError(f"{source}: is a prepared set, read and checked before. Leave out the options of reading.")
        return said(made)
    return said(replace(read_interactions(recognise(paths, format, names), names, how), reading=reading))


def read_interactions(source: Source, columns: Columns, how: Checking) -> InteractionLog:
    """Read and check files of one log, or a folder with a given split.

    Args:
        source: the files.
        columns: names that were asked for.
        how: what is asked of the rows.

    Raises:
        DataError: they are no usable log.
    """
    if source.split_folder is not None:
        return _load_folder(source.split_folder, columns, how)
    tables = [read_rows(path, name, columns, how.skip_invalid) for path, name in source.files]
    table = tables[0] if len(tables) == 1 else concatenated(source.name, [path for path, _ in source.files], tables)
    table, count = picked(replace(table, notes=source.notes + table.notes), columns.where)
    return replace(_log(check(table, how), how, count), source=source.name, format=source.format)


def _log(table: RawTable, how: Checking, count: Picked | None) -> InteractionLog:
    log = InteractionLog(
        table.frame, skipped=table.skipped, notes=table.notes, clock=table.clock, same_time=how.same_time, picked=count,
        repeats=table.repeats,
    )  # fmt: skip
    return replace(log, read_as=ReadAs.of(log, table.columns))


def read_rows(path: Path, name: str, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read a file, or a folder of parts, without checking its rows.

    Args:
        path: the file or folder.
        name: its format, a file's.
        columns: names that were asked for.
        skip_invalid: whether rows that are none are dropped instead of being an error.

    Raises:
        DataError: it is no such file.
    """
    with enough_memory(path):
        return READERS[name](path, columns, skip_invalid)


def _load_folder(path: Path, columns: Columns, how: Checking) -> InteractionLog:
    """Read the parts of a given split, each in a format of its own."""
    files = find_parts(path)
    parts: dict[str, RawTable] = {}
    counts, count = (Tally(), Tally()), None
    for part, file in files.items():
        table = read_rows(file, _format_of_part(file, columns), columns, how.skip_invalid)
        table, count = picked(table, columns.where, counts)
        parts[part] = check(table, how)
    notes = [f"{files[part].name}: {note}" for part, table in parts.items() for note in table.notes]
    others = sum(not name.name.startswith(".") for name in path.iterdir()) - len(files)
    if others:
        read = ", ".join(file.name for file in files.values())
        notes.append(f"read {read}; what else is in the folder ({others:,}) was left alone.")
    train = parts["train"]
    for part in ("validation", "test"):
        if part in parts and (twice := _shared(parts[part], train)):
            name, total = files[part].name, len(parts[part].frame)
            notes.append(f"{twice:,} of {total:,} interactions of {name} stand in {files['train'].name} too.")
    log = InteractionLog(
        train.frame,
        str(path),
        "folder",
        test=parts["test"].frame,
        validation=parts["validation"].frame if "validation" in parts else None,
        skipped=sum(table.skipped for table in parts.values()),
        notes=tuple(notes),
        clock=train.clock,
        same_time=how.same_time,
        repeats=train.repeats,
        picked=count,
    )
    taken = columns_of_files((files[part].name, table.columns) for part, table in parts.items())
    return replace(log, read_as=ReadAs.of(log, taken))


def _shared(held_out: RawTable, train: RawTable) -> int:
    """Return how many interactions of a held-out part stand in the training part as well, with their times."""
    shared = [name for name in (USER, ITEM, TIME) if name in train.frame.columns and name in held_out.frame.columns]
    one, other = held_out.frame.select(shared), train.frame.select(shared)
    if TIME in shared and one[TIME].dtype != other[TIME].dtype:
        one, other = (frame.with_columns(pl.col(TIME).cast(pl.Float64)) for frame in (one, other))
    return len(one.join(other, on=shared, how="semi"))


def _format_of_part(file: Path, columns: Columns) -> str:
    """Return the format of a part; a text that begins with a user without items is a sequence as well."""
    try:
        return detect(file, columns)
    except LoneWordError:
        if ".txt" in file.name.lower():
            return "sequence"
        raise


def say(source: str, notes: Iterable[str]) -> None:
    """Warn of what was done to the rows of a log."""
    for note in notes:
        warnings.warn(f"{source}: {note}", MltfrWarning, stacklevel=4)


def said(log: Log) -> Log:
    """Warn of what was done to the rows of a log, those that were dropped among it; return the log."""
    if log.skipped:
        most = " They are more than are left: leave out --skip-invalid to see what is wrong with the first."
        say(log.source, [f"invalid rows dropped: {log.skipped:,}.{most * (log.skipped > len(log))}"])
    say(log.source, log.notes)
    return log
