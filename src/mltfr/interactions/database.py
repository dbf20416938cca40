"""A log in a DuckDB database on disk, for logs larger than memory: sorted, filtered and grouped with SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import ConfigError, MissingExtraError, OutputError
from mltfr.interactions.checks import ONCE, Checking, RowChecks, found_repeat, no_rows
from mltfr.interactions.clock import Clock, Unit
from mltfr.interactions.log import SLICE, Condition, Ints, update_digest
from mltfr.interactions.picking import Picked
from mltfr.interactions.raw import ITEM, ROW, TIME, USER, invalid_row
from mltfr.interactions.read_as import ReadAs
from mltfr.interactions.readers.pieces import Pieces
from mltfr.storage.progress import Progress

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEAST_MEMORY = 64 << 20
"""Bytes below which DuckDB cannot sort."""
PIECE = 1 << 16
"""Rows that are read from the database at a time."""


@contextmanager
def open_database(work: Path, memory: int) -> Iterator[DuckDBPyConnection]:
    """Open a new database in the folder `work`, which keeps about `memory` bytes in memory and the rest on disk.

    Raises:
        MissingExtraError: duckdb is not installed.
        OutputError: the disk is full, or cannot be written.
        ConfigError: `memory` is too little.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("duckdb", "large") from error
    try:
        with duckdb.connect(str(work / "log.duckdb")) as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute(f"SET memory_limit = '{max(memory, LEAST_MEMORY)}B'")
            connection.execute(f"SET temp_directory = '{_quoted(work / 'spilled')}'")
            if memory < 2 * LEAST_MEMORY:
                connection.execute("SET threads = 1")  # every thread holds pieces of its own
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise ConfigError(f"{memory >> 20}M of memory are too little for this log. Raise --memory.") from error
    except duckdb.OperationalError as error:  # also of a transaction that could not be written
        reason = " ".join(str(error).split())[:200]
        raise OutputError(f"{work.parent}: cannot be written ({reason}). Nothing was kept; free some space.") from error


@dataclass
class DatabaseLog:
    """Checked interactions in a database, an `OrderedLog`.

    A table `log` has the columns `user` and `item` (numbers), `time` where there is one, and `place`, which gives the
    order. In memory are the ids, and some numbers of every user and item.

    Attributes:
        connection: the database.
        source: where the log came from.
        user_ids: ids by number.
        item_ids: ids by number.
        schema: names of the columns in their order, with the types that they have in memory.
        skipped: invalid rows that were dropped.
        clock: what is known of the times from reading them.
        notes: as those of an `InteractionLog`.
        repeats: as those of an `InteractionLog`.
        picked: as those of an `InteractionLog`.
        read_as: as those of an `InteractionLog`.
        work: folder of the database, and of files that are passed to and fro.
    """

    connection: DuckDBPyConnection
    source: str
    user_ids: pl.Series
    item_ids: pl.Series
    schema: dict[str, pl.DataType]
    skipped: int
    clock: Clock
    work: Path
    has_test: bool = False
    notes: tuple[str, ...] = ()
    repeats: int = 0
    picked: Picked | None = None
    read_as: ReadAs | None = None

    def __len__(self) -> int:
        return self.totals()[0]

    @property
    def has_timestamps(self) -> bool:
        """Whether the interactions carry a time."""
        return TIME in self.schema

    def keep(self, condition: Condition) -> Self:
        """Drop the interactions that do not meet a condition, and return the log."""
        self.connection.execute(
            f"CREATE TABLE kept AS SELECT * EXCLUDE (met) FROM (SELECT *, {condition.sql} AS met FROM log) WHERE met"
        )
        self.connection.execute("DROP TABLE log; ALTER TABLE kept RENAME TO log")
        return self

    def totals(self) -> tuple[int, int, int]:
        """Return the numbers of interactions, users and items."""
        return self._one("SELECT count(*), count(DISTINCT user), count(DISTINCT item) FROM log")

    def counts_by_user(self, *conditions: Condition) -> Ints:
        """Return how many interactions of every user meet each condition, `[C, U]`; users as they appear first."""
        counts = ", ".join(f"count(*) FILTER (WHERE {c.sql}) AS c{n}" for n, c in enumerate(conditions))
        found = self._columns(f"SELECT {counts} FROM log GROUP BY user ORDER BY min(place)")
        return np.array([found[f"c{n}"] for n in range(len(conditions))], np.int64)

    def times_at(self, places: Sequence[int]) -> list[int | float]:
        """Return the times of the interactions at some places in the order."""
        self.connection.execute("CREATE OR REPLACE TABLE times AS SELECT time FROM log ORDER BY time")
        return [self._one(f"SELECT time FROM times LIMIT 1 OFFSET {place}")[0] for place in places]

    def span(self) -> tuple[int | float, int | float]:
        """Return the earliest and the latest time."""
        first, last = self._one("SELECT min(time), max(time) FROM log")
        return first, last

    def span_of_moments(self) -> tuple[int | float | None, int | float | None]:
        """Return the earliest and the latest time that is not 0, which may stand for none; None where all are."""
        first, last = self._one("SELECT min(time), max(time) FROM log WHERE time <> 0")
        return first, last

    @property
    def unit(self) -> Unit | None:
        """The unit of the source's times; None where they are a counter."""
        return self.clock.unit_of(*self.span_of_moments())

    def ids(self, name: Literal["user", "item"]) -> pl.Series:
        """Return the ids of users or items by number."""
        self._write(self.work / "ids.parquet", f"SELECT id FROM {name}s ORDER BY {name}")
        return pl.read_parquet(self.work / "ids.parquet", memory_map=False)["id"]

    def users(self) -> tuple[pl.Series, Ints]:
        """Return the ids of the users in order of first appearance, and how many interactions each has, `[U]`."""
        found = self._columns("SELECT user, count(*) AS size FROM log GROUP BY user ORDER BY min(place)")
        return self.user_ids.gather(found["user"]), found["size"].astype(np.int64)

    def by_user(self) -> Iterator[tuple[npt.NDArray[np.int32], Ints]]:
        """Yield pieces of item numbers and positions in the order of time.

        They are gathered by user, in order of first appearance, oldest first.
        """
        file = self.work / "by-user.parquet"
        if not file.exists():
            first = "SELECT user, min(place) AS first FROM log GROUP BY user"
            self._write(file, f"SELECT item, place FROM log JOIN ({first}) USING (user) ORDER BY first, place")
        for piece in _read(file, ["item", "place"]):
            yield piece["item"].to_numpy(), piece["place"].to_numpy()

    def fingerprint(self) -> str:
        """Return what `InteractionLog.fingerprint` returns of the same log; before any filter."""
        digest, rows = hashlib.sha256(), len(self)
        ids = {USER: ("user", self.user_ids), ITEM: ("item", self.item_ids)}
        file = self.work / ORDERED
        update_digest(digest, "log", self.schema, rows, ())
        for start in range(0, rows, SLICE):
            if self.has_timestamps:
                for piece in _read(file, ["time"], start, start + SLICE):
                    digest.update(piece["time"].to_numpy().tobytes())
            for piece in _read(file, ["user", "item"], start, start + SLICE):
                texts = {name: ids[name][1].gather(piece[ids[name][0]]) for name in self.schema if name in ids}
                digest.update(pl.DataFrame(texts).write_csv(include_header=False).encode())
        return digest.hexdigest()

    def _one(self, query: str) -> Any:
        return self.connection.execute(query).fetchone()

    def _columns(self, query: str) -> dict[str, npt.NDArray[Any]]:
        found: dict[str, npt.NDArray[Any]] = self.connection.execute(query).fetchnumpy()  # type: ignore[assignment]
        return found

    def _write(self, file: Path, query: str) -> None:
        self.connection.execute(f"COPY ({query}) TO '{_quoted(file)}' (FORMAT parquet, ROW_GROUP_SIZE {PIECE})")


ORDERED = "ordered.parquet"


def load(pieces: Pieces, connection: DuckDBPyConnection, work: Path, how: Checking, size: int,
         progress: Progress) -> DatabaseLog:  # fmt: skip
    """Check a table in pieces as `check` does, and put it into a database in stable order of time.

    Args:
        pieces: the table.
        connection: a new database.
        work: its folder.
        how: what is asked of the rows.
        size: rows in memory at a time.
        progress: told of the rows that are checked.

    Raises:
        DataError: a row has an empty id, an unusable time, or repeats another one with the same time, and
            `skip_invalid` is off; or no row is left.
    """
    checks = RowChecks(how)
    schema, skipped = _check(checks, pieces, work, size, progress)
    time = ", timestamp AS time" if TIME in schema else ""
    run = connection.execute
    progress.start("sorting")
    run(f"CREATE VIEW read AS FROM read_parquet('{_quoted(work)}/read-*.parquet')")
    for name in ("user", "item"):
        run(f"CREATE TABLE {name}s AS SELECT id, (row_number() OVER () - 1)::INTEGER AS {name} "
            f"FROM (SELECT DISTINCT {name}_id AS id FROM read)")  # fmt: skip
    run(f"CREATE TABLE log AS SELECT row, user, item{time} FROM read "
        "JOIN users ON user_id = users.id JOIN items ON item_id = items.id")  # fmt: skip
    empty = pl.Series(dtype=pl.String)
    clock, picker = checks.reader.clock, pieces.picker
    notes = pieces.notes + (picker.notes if picker else ()) + checks.notes
    log = DatabaseLog(connection, pieces.name, empty, empty, schema, skipped, clock, work, notes=notes)
    log.picked = picker.picked if picker else None
    log.user_ids, log.item_ids = log.ids("user"), log.ids("item")
    if log.has_timestamps and how.same_time == "refuse":
        log.repeats = _drop_repeats(log, pieces, how.skip_invalid)
        log.skipped += log.repeats
    if not len(log):
        raise no_rows(pieces.name, log.skipped)
    columns, order = ("user, item, time", "time, row") if log.has_timestamps else ("user, item", "row")
    log._write(work / ORDERED, f"SELECT {columns} FROM log ORDER BY {order}")
    run("DROP TABLE log")
    run(f"CREATE TABLE log AS SELECT file_row_number AS place, {columns} "
        f"FROM read_parquet('{_quoted(work / ORDERED)}', file_row_number = true)")  # fmt: skip
    log.read_as = ReadAs.of(log, pieces.columns)
    return log


def _check(
    checks: RowChecks, pieces: Pieces, work: Path, size: int, progress: Progress
) -> tuple[dict[str, pl.DataType], int]:
    """Write the checked rows to files; return the schema of the log, and how many rows were dropped."""
    files = []
    progress.start("checking")
    for number, piece in enumerate(pieces.rows(size)):
        files.append(work / f"read-{number:06d}.parquet")
        checks.look(piece)[0].write_parquet(files[-1])
        progress.advance(len(piece))
    checks.require(pieces.name, pieces.place)
    schema: dict[str, pl.DataType] = {}
    for file in files:
        piece = checks.read(pl.read_parquet(file, memory_map=False))
        piece.write_parquet(file)
        schema = {name: kind for name, kind in piece.schema.items() if name != ROW}
        progress.advance(len(piece))
    checks.require(pieces.name, pieces.place)
    skipped = pieces.skipped + checks.skipped
    if not files:
        raise no_rows(pieces.name, skipped)
    return schema, skipped


def _drop_repeats(log: DatabaseLog, pieces: Pieces, skip_invalid: bool) -> int:
    """Drop or refuse what repeats another interaction to the second; return how many rows that were."""
    run, same = log.connection.execute, "user, item, time"
    run(f"CREATE TABLE repeats AS SELECT {same}, min(row) AS first FROM log GROUP BY {same} HAVING count(*) > 1")
    repeats = f"FROM log JOIN repeats USING ({same}) WHERE row > first"
    count = int(log._one(f"SELECT count(*) {repeats}")[0])
    if count and not skip_invalid:
        row, user, item, time, first = log._one(f"SELECT row, {same}, first {repeats} ORDER BY row LIMIT 1")
        found = found_repeat(pieces.place(first), log.user_ids[user], log.item_ids[item], time)
        raise invalid_row(pieces.name, pieces.place(row), found, ONCE, count)
    if count:
        run(f"DELETE FROM log WHERE row IN (SELECT row {repeats})")
    return count


def _read(file: Path, columns: list[str], start: int = 0, stop: int | None = None) -> Iterator[pl.DataFrame]:
    """Yield columns of the rows `start` to `stop - 1` of a Parquet file, in pieces."""
    table = pl.scan_parquet(file).select(columns)
    rows = int(table.select(pl.len()).collect().item())
    stop = rows if stop is None else min(stop, rows)
    for first in range(start, stop, PIECE):
        yield table.slice(first, min(PIECE, stop - first)).collect()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
