"""Moments of the settings as numbers of a log: where a filter or a split cuts it."""

from __future__ import annotations

import math
from datetime import date
from fractions import Fraction

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.clock import EXACT, PARTS, nanoseconds_of, seconds_of, shown
from mltfr.interactions.dates import NANOS
from mltfr.interactions.log import Condition, OrderedLog
from mltfr.interactions.raw import TIME

Border = float | int | str
"""A time as the log's file holds it, or a date or datetime."""
LARGEST = 2**63 - 1
"""Largest whole number of a log."""
LIMIT = 1e30
"""Size that no time has."""


def as_border(value: object) -> Border:
    """Return a setting as a border: dates of TOML as text, and whole numbers as floats where these are exact.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and (_number(value) is not None or nanoseconds_of(value) is not None):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LIMIT:
        return value if isinstance(value, int) and abs(value) > EXACT else float(value)
    raise ValueError(f"{str(value)[:40]!r} is neither a timestamp nor an ISO date (2024-05-31)")


def as_text(border: Border) -> str:
    """Return a border with all its digits, a whole number without a fraction."""
    return str(int(border) if isinstance(border, float) and border.is_integer() else border)


def in_order(first: Border, second: Border) -> bool:
    """Say whether one border lies before another; of a number and a date only the log can say."""
    one, other = _exact(first), _exact(second)
    return one[0] < other[0] if one[1] == other[1] else True


def threshold(border: Border, log: OrderedLog, name: str) -> int | float:
    """Return a border as a number of the log: what is smaller lies before it.

    Args:
        border: where to cut.
        log: interactions with times.
        name: the setting, for the message.

    Raises:
        DataError: it is a date, and the log's times are a counter.
    """
    exact, is_date = _exact(border)
    first = log.span()[0]
    exact *= log.clock.scale
    if is_date:
        unit = log.unit
        if unit is None:
            raise DataError(
                f"{log.source}: '{name}' is the date {border!r}, but the log's times go from {shown_span(log)}, and "
                "neither seconds, milliseconds, microseconds nor nanoseconds since 1970 fit. Give a number like "
                "these; or if they are dates, say how they are written: --time-format '%Y%m%d'."
            )
        if log.clock.unit == "s" and isinstance(first, float):
            return float(seconds_of(pl.Series([math.ceil(exact / 1_000)]))[0])
        exact *= Fraction(PARTS[unit], NANOS)
    if isinstance(first, int):
        return min(max(math.ceil(exact), -LARGEST), LARGEST)
    return float(exact)


def shown_span(log: OrderedLog) -> str:
    """Return the earliest and the latest time of a log for a message: its numbers, and the dates that they mean."""
    first, last = log.span()
    unit, scale = log.unit, log.clock.scale
    numbers = f"{first} to {last}" if scale == 1 else f"{first / scale} to {last / scale}"
    return numbers if unit is None else f"{numbers} ({shown(first / scale, unit)} to {shown(last / scale, unit)} UTC)"


def before(time: float) -> Condition:
    """Ask of every interaction whether it lies before a time of the log."""
    literal = f"{time}::BIGINT" if isinstance(time, int) else f"'{time!r}'::DOUBLE"
    return Condition(pl.col(TIME) < time, f"time < {literal}")


def not_before(time: float) -> Condition:
    """Ask of every interaction whether it lies at a time of the log, or after it."""
    return Condition(pl.col(TIME) >= time, f"NOT {before(time).sql}")


def _exact(border: Border) -> tuple[Fraction, bool]:
    """Return a border exactly, a date in nanoseconds, and whether it is a date."""
    number = _number(border) if isinstance(border, str) else border
    if number is not None:
        return Fraction(number), False
    return Fraction(nanoseconds_of(str(border)) or 0), True


def _number(text: str) -> int | float | None:
    """Return the number that a text is, None where it is none."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if abs(number) < LIMIT else None
    return None
