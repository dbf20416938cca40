"""From a file of any size to a prepared set, within a given amount of memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.config import Config
from mltfr.errors import ConfigError, DataError
from mltfr.interactions.checks import Checking
from mltfr.interactions.database import DatabaseLog, load, open_database
from mltfr.interactions.filters import FilterConfig, FilterReport, apply_filters
from mltfr.interactions.last_time import LastTime, last_time_facts
from mltfr.interactions.load import read_interactions, said
from mltfr.interactions.log import InteractionLog, Ints
from mltfr.interactions.prepared import (
    ITEMS,
    OFFSETS,
    PREPARED,
    TEST,
    TRAINING_ITEMS,
    TRAINING_LENGTHS,
    USERS,
    VALIDATION,
    VOCABULARY,
    PreparedSet,
    load_prepared,
)
from mltfr.interactions.read_as import read_as_facts, tell_read_as
from mltfr.interactions.readers.several import open_source
from mltfr.interactions.reading import ReadingConfig
from mltfr.interactions.set_folder import working
from mltfr.interactions.sources import paths_of, recognise
from mltfr.interactions.splits import SplitConfig, split_lengths
from mltfr.interactions.splits.assemble import TrainingItems
from mltfr.interactions.splits.lengths import SplitLengths
from mltfr.storage.progress import SILENT, Progress

MEMORY = 1 << 30
"""Bytes that a preparation takes by default, ids aside."""
ROW_MEMORY = 512
"""Bytes that a row of texts takes while it is checked."""
LEAST_ROWS = 1 << 12
"""Rows that are checked together at least."""
USERS_AT_A_TIME = 1 << 16
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
Array = npt.NDArray[Any]


class PreparationConfig(Config):
    """Settings of a run that a prepared set fixes."""

    reading: ReadingConfig = ReadingConfig()
    """How the log is read."""
    filters: FilterConfig = FilterConfig()
    """Which interactions are kept."""
    split: SplitConfig = SplitConfig()
    """How the log is split into training, validation and test."""


def memory_bytes(text: str) -> int:
    """Return an amount of memory ("512M", "2G", "1.5GB") as bytes.

    Raises:
        ConfigError: it is no amount, or less than 1 MiB.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size < 1 << 20:
        raise ConfigError(f"memory is {text!r}; expected an amount of at least 1M, as in 512M or 2G.")
    return size


def prepare(
    path: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    filters: FilterConfig | None = None,
    split: SplitConfig | None = None,
    format: str | None = None,
    user_column: str | None = None,
    item_column: str | None = None,
    timestamp_column: str | None = None,
    time_format: str | None = None,
    columns: str | Sequence[str] | None = None,
    skip_invalid: bool = False,
    memory: int = MEMORY,
    progress: Progress = SILENT,
) -> PreparedSet:
    """Read, check, filter and split a log of any size with DuckDB, and write it as a prepared set.

    CSV, TSV, RecBole files and Parquet are read a piece at a time: besides the ids of users and items, and some
    numbers of each, no more than about `memory` bytes are held. Other formats are read whole.

    Args:
        path: the log, or the files of one log, as for `load_interactions`.
        out: folder to write; it must be new, empty, or an unfinished prepared set, which is made anew.
        filters: which interactions are kept; all by default.
        split: how the log is split.
        format: format of the file, recognised by its content if not given.
        user_column: name of the users' column.
        item_column: name of the items' column, or of several with commas between them.
        timestamp_column: name of the times' column.
        time_format: how dates are written, a pattern of strftime ("%d/%m/%Y %H:%M"); recognised if not given.
        columns: names of all columns of delimited text without a header, or these with commas between them.
        skip_invalid: drop invalid rows and count them instead of raising.
        memory: bytes to stay within, about: texts, sorting and grouping; less than 64 MB count as 64 MB.
        progress: told of the stages.

    Returns:
        The prepared set, opened.

    Raises:
        DataError: the log is not usable.
        ConfigError: `memory` is too little.
        MissingExtraError: duckdb is not installed.
        OutputError: `out` holds something else or cannot be written, or the disk is full.
    """
    folder = Path(out)
    reading = ReadingConfig.of(format, user_column, item_column, timestamp_column, time_format, columns, skip_invalid)
    settings = PreparationConfig(reading=reading, filters=filters or FilterConfig(), split=split or SplitConfig())
    names = reading.names(settings.filters.where)
    paths = paths_of(path)
    if paths is None:
        raise DataError(f"Cannot prepare a {type(path).__name__}. Give the path of a file, or a list of paths.")
    source = recognise(paths, format, names)
    how = Checking(skip_invalid, time_format, settings.filters.same_time)
    with working(folder) as work, progress:
        if source.split_folder is not None:
            facts = _write_log(folder, read_interactions(source, names, how), settings, progress)
        else:
            with open_database(work, memory) as connection:
                size = max(LEAST_ROWS, memory // ROW_MEMORY)
                pieces = open_source(source, names, skip_invalid, work, memory)
                log = load(pieces, connection, work, how, size, progress)
                facts = _write_database(folder, log, settings, progress)
        progress.start("taking checksums")
        facts = {"source": Path(source.name).name, "source_format": source.format, **facts}
        PREPARED.write_manifest(folder, facts)
    return said(load_prepared(folder))


def _write_log(
    folder: Path, log: InteractionLog, settings: PreparationConfig, progress: Progress
) -> dict[str, Any]:
    """Write a set from a log in memory; return what the manifest says of it."""
    tell_read_as(log.read_as, progress)
    kept, report = apply_filters(log, settings.filters)
    method, kept, lengths = split_lengths(kept, settings.split)
    by_user = [(kept.grouped.items, kept.grouped.order)]
    grouped = (kept.grouped.user_ids, np.diff(kept.grouped.offsets), kept.grouped.item_ids, by_user)
    counts = _write(folder, method, lengths, *grouped)
    return _facts(log, log.fingerprint(), settings, report, method, lengths, counts) | last_time_facts(LastTime.of(log))


def _write_database(
    folder: Path, log: DatabaseLog, settings: PreparationConfig, progress: Progress
) -> dict[str, Any]:
    """Write a set from a log in a database; return what the manifest says of it."""
    tell_read_as(log.read_as, progress)
    progress.start("taking the fingerprint")
    fingerprint, last = log.fingerprint(), LastTime.of(log)
    progress.start("filtering and splitting")
    log, report = apply_filters(log, settings.filters)
    method, log, lengths = split_lengths(log, settings.split)
    user_ids, sizes = log.users()
    progress.start("grouping by user")
    counts = _write(folder, method, lengths, user_ids, sizes, log.item_ids, _ByUser(log))
    return _facts(log, fingerprint, settings, report, method, lengths, counts) | last_time_facts(last)


class _ByUser(Iterable[tuple[npt.NDArray[np.int32], Ints]]):
    def __init__(self, log: DatabaseLog) -> None:
        self.log = log

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.int32], Ints]]:
        return self.log.by_user()


def _write(
    folder: Path,
    method: str,
    lengths: SplitLengths,
    user_ids: pl.Series,
    sizes: Ints,
    item_ids: pl.Series,
    by_user: Iterable[tuple[npt.NDArray[np.int32], Ints]],
) -> dict[str, int]:
    """Write all files but the manifest; return the numbers of users, items and interactions.

    Args:
        folder: the prepared set.
        method: how the split is called.
        lengths: the stretches of every user.
        user_ids: in the order of the set.
        sizes: interactions of every user, int64 `[U]`.
        item_ids: by item number.
        by_user: pieces of item numbers and positions in the order of time, gathered by user; iterated three times.

    Raises:
        DataError: no user has a test example, or there is no training split.
    """
    lengths.require(method)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    training_end = offsets[:-1] + lengths.train                          # [U]

    def pieces() -> Iterator[tuple[npt.NDArray[np.int32], Ints, npt.NDArray[np.bool_]]]:
        done = 0
        for items, positions in by_user:
            row = np.arange(done, done + len(items))
            user = np.searchsorted(offsets, row, "right") - 1
            yield items, positions, row < training_end[user]
            done += len(items)

    training = TrainingItems(len(item_ids))
    for items, positions, in_training in pieces():
        training.add(items[in_training], positions[in_training])
    known, codes = training.codes()
    total, trained = int(offsets[-1]), int(lengths.train.sum())
    _write_array(folder / ITEMS, np.int32, (total,), (codes[items] for items, _, _ in pieces()))
    _write_array(folder / TRAINING_ITEMS, np.int32, (trained,), (codes[items[part]] for items, _, part in pieces()))
    _write_array(folder / OFFSETS, np.int64, offsets.shape, [offsets])
    _write_array(folder / TRAINING_LENGTHS, np.int64, lengths.train.shape, [lengths.train])
    blocks = [(start, start + USERS_AT_A_TIME) for start in range(0, len(sizes), USERS_AT_A_TIME)]
    for file, name in ((VALIDATION, "validation"), (TEST, "test")):
        count = int(getattr(lengths, name).sum())
        fields = (getattr(lengths.examples(name, *block), field) for field in ("user", "cut") for block in blocks)  # type: ignore[arg-type]
        _write_array(folder / file, np.int64, (2, count), fields)
    pl.DataFrame({"user_id": user_ids.rechunk()}).write_parquet(folder / USERS)
    vocabulary = {"item_id": item_ids.gather(known).rechunk(), "count": training.counts[known]}
    pl.DataFrame(vocabulary).write_parquet(folder / VOCABULARY)
    return {"users": len(sizes), "items": len(known), "interactions": total}


def _facts(
    log: InteractionLog | DatabaseLog,
    fingerprint: str,
    settings: PreparationConfig,
    report: FilterReport,
    method: str,
    lengths: SplitLengths,
    counts: dict[str, int],
) -> dict[str, Any]:
    return {
        "skipped": log.skipped,
        "notes": list(log.notes),
        "data_fingerprint": fingerprint,
        "reading": settings.reading.model_dump(mode="json"),
        **read_as_facts(log.read_as),
        "filters": settings.filters.model_dump(mode="json"),
        "filter_steps": [asdict(step) for step in report.steps],
        "split": settings.split.model_dump(mode="json"),
        "method": method,
        "left_out": {reason: count for reason, count in lengths.left_out.items() if count},
        **counts,
    }


def _write_array(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...], pieces: Iterable[Array]) -> None:
    """Write an array of which only a piece is in memory as `.npy`; the pieces follow each other in C order."""
    kind = np.dtype(dtype)
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            np.ascontiguousarray(piece, kind).tofile(file)
