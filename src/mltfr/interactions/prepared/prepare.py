"""From a file to a prepared set, within a given amount of memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import DataError, OutputError
from mltfr.interactions.columns import Columns
from mltfr.interactions.detect import detect
from mltfr.interactions.filters import FilterConfig, FilterReport, apply_filters
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.prepared import layout
from mltfr.interactions.prepared.dividing import divide
from mltfr.interactions.prepared.encode import Tell, encode
from mltfr.interactions.prepared.filtering import filtered
from mltfr.interactions.prepared.opened import PreparedSet, load_prepared
from mltfr.interactions.prepared.ordering import fingerprint, in_order_of_time
from mltfr.interactions.prepared.source import Source, open_source
from mltfr.interactions.splitters import SplitConfig, split

MEMORY = 1 << 30
"""Bytes that a preparation takes by default, ids aside."""
ROW_MEMORY = 512
"""Bytes that a row of texts takes while it is numbered."""


def prepare(
    path: str | Path,
    out: str | Path,
    *,
    filters: FilterConfig | None = None,
    split: SplitConfig | None = None,
    format: str | None = None,
    user_column: str | None = None,
    item_column: str | None = None,
    timestamp_column: str | None = None,
    skip_invalid: bool = False,
    memory: int = MEMORY,
    tell: Tell | None = None,
) -> PreparedSet:
    """Read, check, filter and split a log of any size, and write it as a prepared set.

    CSV, TSV, RecBole files and Parquet are read a piece at a time: besides the ids of users and items, and some
    numbers of each, no more than about `memory` bytes are held. Other formats are read whole.

    Args:
        path: the log, as for `load_interactions`.
        out: folder to write; it must be new, empty, or an unfinished prepared set, which is made anew.
        filters: which interactions are kept; all by default.
        split: how the log is divided.
        format: format of the file, recognised by its content if not given.
        user_column: name of the users' column.
        item_column: name of the items' column.
        timestamp_column: name of the times' column.
        skip_invalid: drop invalid rows and count them instead of raising.
        memory: bytes to stay within, about: texts, sorting and grouping; no less than a few MB make sense.
        tell: hears of the progress.

    Returns:
        The prepared set, opened.

    Raises:
        DataError: the log is not usable.
        OutputError: `out` holds something else or cannot be written, or the disk is full.
    """
    source, folder = Path(path), Path(out)
    filters, division = filters or FilterConfig(), split or SplitConfig()
    tell = tell or (lambda stage, done, total: None)
    if not source.exists():
        raise DataError(f"{source}: no such file or folder. Check the path.")
    columns = Columns(user_column, item_column, timestamp_column)
    name = format or detect(source, columns)
    with _working(folder) as work:
        size = max(1 << 8, memory // ROW_MEMORY)
        opened = open_source(source, name, columns, skip_invalid, work, size) if source.is_file() else None
        if opened is None:
            from mltfr.interactions.load import read_interactions

            log = read_interactions(source, name, columns, skip_invalid)
            facts = _write_log(folder, log, filters, division)
        else:
            facts = _write_source(folder, work, opened, filters, division, skip_invalid, memory, size, tell)
        facts = {"source": source.name, "source_format": name, **facts}
        tell("taking checksums", 0, 0)
        layout.write_manifest(folder, facts)
    return load_prepared(folder)


def _write_source(
    folder: Path,
    work: Path,
    source: Source,
    filters: FilterConfig,
    division: SplitConfig,
    skip_invalid: bool,
    memory: int,
    size: int,
    tell: Tell,
) -> dict[str, Any]:
    """Write a set from a source that is read a piece at a time; return what the manifest says of it."""
    log = encode(source, skip_invalid, work / "read.rows", size, tell)
    log = in_order_of_time(log, source, skip_invalid, work, memory, size, tell)
    checksum = fingerprint(log, tell)
    log, report = filtered(log, filters, source.name, work, size, tell)
    done = divide(log, division, source.name, folder, memory, size, tell)
    return _facts(log.skipped, checksum, filters, division, report, done.method, done.left_out, done.users, done.items,
                  done.interactions)  # fmt: skip


def _write_log(folder: Path, log: InteractionLog, filters: FilterConfig, division: SplitConfig) -> dict[str, Any]:
    """Write a set from a log in memory; return what the manifest says of it."""
    kept, report = apply_filters(log, filters)
    data = split(kept, division)
    layout.write_array(folder / layout.ITEMS, np.int32, data.histories.items.shape, [data.histories.items])
    training = data.train_histories().items
    layout.write_array(folder / layout.TRAINING_ITEMS, np.int32, training.shape, [training])
    layout.write_array(folder / layout.OFFSETS, np.int64, data.histories.offsets.shape, [data.histories.offsets])
    layout.write_array(folder / layout.TRAINING_LENGTHS, np.int64, data.train_length.shape, [data.train_length])
    for name, part in ((layout.VALIDATION, data.validation), (layout.TEST, data.test)):
        layout.write_array(folder / name, np.int64, (2, len(part)), [part.user, part.cut])
    users, items = (pl.Series(list(ids), dtype=pl.String) for ids in (data.user_ids, data.vocabulary.item_ids))
    layout.write_ids(folder, users, items, data.vocabulary.counts[1:])
    return _facts(log.skipped, log.fingerprint(), filters, division, report, data.method, dict(data.left_out),
                  len(users), len(items), len(data.histories.items))  # fmt: skip


def _facts(
    skipped: int,
    checksum: str,
    filters: FilterConfig,
    division: SplitConfig,
    report: FilterReport,
    method: str,
    left_out: dict[str, int],
    users: int,
    items: int,
    interactions: int,
) -> dict[str, Any]:
    return {
        "skipped": skipped,
        "data_fingerprint": checksum,
        "filters": filters.model_dump(mode="json"),
        "filter_steps": [asdict(step) for step in report.steps],
        "split": division.model_dump(mode="json"),
        "method": method,
        "left_out": left_out,
        "users": users,
        "items": items,
        "interactions": interactions,
    }


@contextmanager
def _working(folder: Path) -> Iterator[Path]:
    """Yield a folder for what is needed on the way, inside the set's; after an error nothing of either is left."""
    _check_new(folder)
    work = folder / layout.WORK
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}). Choose another --out.") from error
    try:
        yield work
    except BaseException as error:
        shutil.rmtree(work, ignore_errors=True)
        for name in layout.FILES:
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
        number = _full(error)
        if number:
            raise OutputError(f"{folder}: the disk is full. Nothing was kept; free some space.") from error
        raise
    shutil.rmtree(work, ignore_errors=True)


def _full(error: BaseException) -> bool:
    """Say whether an error is that of a full disk, in whichever library's words."""
    import errno

    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError) and error.errno in numbers:
        return True
    texts = [f"os error {number}" for number in numbers] + ["requested and"]  # numpy: "n requested and m written"
    return isinstance(error, OSError | pl.exceptions.PolarsError) and any(text in str(error) for text in texts)


def _check_new(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder}: is a file. Give --out the name of a new folder.")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder}: may not be written. Choose another --out.")
    if (folder / layout.MANIFEST).exists():
        raise OutputError(f"{folder}: holds something finished. Choose another --out, or remove it first.")
    if any(path.name not in (*layout.FILES, layout.WORK) for path in folder.iterdir()):
        raise OutputError(f"{folder}: is not empty and no unfinished prepared set. Choose another --out.")
