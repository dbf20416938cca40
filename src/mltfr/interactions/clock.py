"""Which moments the times of a log are: the unit of its numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import polars as pl

from mltfr.interactions.dates import DATES, NANOS, read_dates

Unit = Literal["s", "ms", "us", "ns"]
PARTS: dict[Unit, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": NANOS}
"""How many of a unit are a second."""
EXACT = 2**53
"""Whole numbers up to which a float holds every one."""
_BORDER = re.compile(r"(?<=_from=)-?[\d.]+(?:e[+-]?\d+)?(?=[,)])")
EARLIEST, LATEST = 100_000_000, 10_000_000_000
"""Seconds since 1970 between which numbers are taken for a clock: the years 1973 to 2286."""


@dataclass(frozen=True)
class Clock:
    """What is known of the times of a log from reading them.

    Attributes:
        unit: their unit since 1970-01-01 UTC, where the source had dates; None where it had numbers.
        scale: the power of ten by which the source's times were multiplied so that their fractions are whole.
        form: how dates were written: one of `dates.FORMS`, or the pattern that was given; None for numbers.
        without_offset: dates without an offset or a zone, which were taken for UTC.
        with_offset: dates with one.
    """

    unit: Unit | None = None
    scale: int = 1
    form: str | None = None
    without_offset: int = 0
    with_offset: int = 0

    def unit_of(self, first: float | None, last: float | None) -> Unit | None:
        """Return the unit of the source's times, None where they are a counter.

        Args:
            first: the earliest time of the log that is not 0, which may stand for no time; None where all are.
            last: the latest one.
        """
        units = self.units_of(first, last)
        return units[0] if len(units) == 1 else None

    def units_of(self, first: float | None, last: float | None) -> tuple[Unit, ...]:
        """Return the unit of the source's times, or the two that the first and the last are of by their size.

        There is none where one of them is a counter's. See `unit_of` for the arguments.
        """
        if self.unit is not None:
            return (self.unit,)
        if first is None or last is None:
            return ()
        found = [_unit_of_size(abs(time) / self.scale) for time in (first, last)]
        return () if None in found else tuple(dict.fromkeys(unit for unit in found if unit is not None))


UNKNOWN_CLOCK = Clock()
"""Of times that are numbers as they stand: their size tells the unit."""


def nanoseconds_of(text: str) -> int | None:
    """Return the moment of a date or datetime in nanoseconds since 1970-01-01 UTC, None where a text is none."""
    found = read_dates(pl.Series([text])).get(DATES)
    return None if found is None else int(found.seconds[0]) * NANOS + int(found.nanos[0])


def seconds_of(micros: pl.Series) -> pl.Series:
    """Return whole microseconds as the seconds with fractions that logs of dates have."""
    return micros / 1_000_000


def shown(time: float, unit: Unit | None) -> str:
    """Return a time as people read it: date and time in UTC, or all digits of the number where it counts."""
    if unit is None:
        return str(int(time) if time == int(time) else time)
    return str(np.datetime64(int(time // PARTS[unit]), "s"))[:-3].replace("T", " ")


def with_dates(split: str) -> str:
    """Return the name of a split (`Split.method`) for people: its borders, where they are moments, as dates in UTC."""
    numbers = [Fraction(text) for text in _BORDER.findall(split)]
    unit = UNKNOWN_CLOCK.unit_of(float(min(numbers)), float(max(numbers))) if numbers else None
    if unit is None:
        return split

    def date(border: re.Match[str]) -> str:
        seconds, rest = divmod(Fraction(border[0]) / PARTS[unit], 1)
        text = str(np.datetime64(seconds, "s")).replace("T", " ")
        if rest:
            return text + f"{float(rest):.9f}"[1:].rstrip("0")
        return text.removesuffix(":00").removesuffix(" 00:00")

    return _BORDER.sub(date, split)


def _unit_of_size(size: float) -> Unit | None:
    return next((unit for unit, parts in PARTS.items() if EARLIEST * parts <= size < LATEST * parts), None)
