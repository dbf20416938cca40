"""What of a source was read as a log, and how: its columns and its times, in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from mltfr.interactions.clock import Unit
from mltfr.interactions.dates import DATES, DAY_FIRST, MONTH_FIRST
from mltfr.storage.progress import Progress

if TYPE_CHECKING:
    from mltfr.interactions.log import OrderedLog

SHOWN = 8
"""Columns or files that a sentence lists."""
_UNITS: dict[Unit, str] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_WRITTEN = {DATES: "dates", DAY_FIRST: "dates as day/month/year", MONTH_FIRST: "dates as month/day/year"}
_UTC = "they are shown in UTC, and dates of filters and splits are UTC"


@dataclass(frozen=True)
class ColumnsTaken:
    """The columns of a table by what they were read as.

    Attributes:
        user: that of the user ids.
        item: that of the item ids, or several whose values were joined.
        timestamp: that of the times, None where there is none.
        condition: those that only a condition on the rows compared.
        not_read: all others.
        file: the first file that has these columns, where files of one log have different ones.
    """

    user: str
    item: tuple[str, ...]
    timestamp: str | None = None
    condition: tuple[str, ...] = ()
    not_read: tuple[str, ...] = ()
    file: str | None = None

    @classmethod
    def of_json(cls, taken: Mapping[str, Any]) -> Self:
        """Return what a document says."""
        lists = {key: tuple(map(str, taken[key])) for key in ("item", "condition", "not_read")}
        return cls(**{**taken, **lists})

    def __str__(self) -> str:
        roles = {"user_id": self.user, "item_id": " + ".join(self.item), "timestamp": self.timestamp}
        read = ", ".join(role if role == name else f"{role} = {name}" for role, name in roles.items() if name)
        condition = f"; for the condition: {_listed(self.condition)}" if self.condition else ""
        return read + condition + (f"; not read: {_listed(self.not_read)}" if self.not_read else "")


@dataclass(frozen=True)
class TimesRead:
    """How the times of a log were understood.

    Attributes:
        unit: that of numbers since 1970, or in which dates are held; None where numbers have no known unit.
        form: how dates are written: "dates", "day first", "month first" or a pattern of strftime; None for numbers.
        without_offset: dates without an offset or a zone, which were taken for UTC.
        with_offset: dates with one.
        units: what the earliest and the latest number would be in by their size, where these are two units.
    """

    unit: Unit | None
    form: str | None = None
    without_offset: int = 0
    with_offset: int = 0
    units: tuple[Unit, ...] = ()

    def __str__(self) -> str:
        if self.units:
            earliest, latest = (_UNITS[unit] for unit in self.units)
            return (
                f"numbers as they are: the earliest may be {earliest} since 1970, and the latest {latest}. If so, "
                "write all of them in one unit, or all of the one come before all of the other"
            )
        if self.form is None:
            return f"{_UNITS[self.unit]} since 1970; {_UTC}" if self.unit else "numbers of no known unit, as they are"
        written = _WRITTEN.get(self.form, f"dates as '{self.form}'")
        if not self.without_offset:
            return f"{written} with an offset; {_UTC}"
        if not self.with_offset:
            return f"{written} without an offset, taken for UTC; {_UTC}"
        return f"{written}, {self.without_offset:,} of them without an offset and taken for UTC; {_UTC}"


@dataclass(frozen=True)
class ReadAs:
    """What of a source was read as a log.

    Attributes:
        columns: the columns of the source; several where its files have different ones, none where its format has none.
        times: how its times were understood, None where there are none.
    """

    columns: tuple[ColumnsTaken, ...] = ()
    times: TimesRead | None = None

    @classmethod
    def of(cls, log: OrderedLog, columns: Iterable[ColumnsTaken]) -> Self:
        """Return that of a log that was read, before any filter."""
        if not log.has_timestamps:
            return cls(tuple(columns))
        clock = log.clock
        units = clock.units_of(*log.span_of_moments())
        unit, two = (units[0], ()) if len(units) == 1 else (None, units)
        return cls(tuple(columns), TimesRead(unit, clock.form, clock.without_offset, clock.with_offset, two))

    @classmethod
    def of_json(cls, document: Mapping[str, Any] | None) -> Self | None:
        """Return what `to_json` returned; None of None."""
        if document is None:
            return None
        times = document["times"]
        read = None if times is None else TimesRead(**{**times, "units": tuple(times.get("units", ()))})
        return cls(tuple(map(ColumnsTaken.of_json, document["columns"])), read)

    def to_json(self) -> dict[str, Any]:
        """Return it as documents keep it."""
        return asdict(self, dict_factory=lambda fields: {
            name: list(value) if isinstance(value, tuple) else value for name, value in fields
        })  # fmt: skip

    def words(self) -> dict[str, str]:
        """Return sentences by what they are about."""
        told = {f"columns of {each.file}" if each.file else "columns": str(each) for each in self.columns[:SHOWN]}
        if len(self.columns) > SHOWN:
            told["columns of more files"] = f"in {len(self.columns) - SHOWN:,} more ways"
        option = " (--timestamp-column names a column of times)" * any(each.not_read for each in self.columns)
        return told | {"times": str(self.times) if self.times else f"none: rows are taken to stand in order{option}"}


def tell_read_as(read_as: ReadAs | None, progress: Progress, label: str = "") -> None:
    """Say to the progress of a job how its log was read; nothing where it is not known.

    Args:
        read_as: what is known.
        progress: receives a line for the columns and one for the times.
        label: what the log is called, where there are several.
    """
    log = f"{label}, " if label else ""
    for what, sentence in read_as.words().items() if read_as is not None else ():
        progress.message(f"{log}{what}: {sentence}")


def read_as_facts(read_as: ReadAs | None) -> dict[str, Any]:
    """Return what a document says of how a log was read; nothing where it is not known."""
    return {} if read_as is None else {"read_as": read_as.to_json()}


def columns_of_files(tables: Iterable[tuple[str, Sequence[ColumnsTaken]]]) -> tuple[ColumnsTaken, ...]:
    """Return the columns of several files, different ones once and with the first file that has them.

    Args:
        tables: the name of every file, and its columns.
    """
    first: dict[ColumnsTaken, str] = {}
    for name, columns in tables:
        for taken in columns:
            first.setdefault(replace(taken, file=None), name)
    return tuple(first) if len(first) < 2 else tuple(replace(taken, file=name) for taken, name in first.items())


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} columns)" if len(names) > SHOWN else ""
    return ", ".join(name or "one without a name" for name in names[:SHOWN]) + more
