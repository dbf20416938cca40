"""A column of times as numbers that keep its order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import polars as pl

from mltfr.interactions.clock import EXACT, Clock, Unit, seconds_of
from mltfr.interactions.dates import (
    DATES,
    DAY_FIRST,
    FORMS,
    MONTH_FIRST,
    NANOS,
    Moments,
    count_zoned,
    read_dates,
    read_formatted,
)

EXPECTED = "timestamp must be an integer, a float, or an ISO date or datetime (2024-05-31T18:00:00), all alike."
FORMAT = "Say how the times are written: --time-format '%d/%m/%Y %H:%M' (in Python time_format=)."
CORRECT = "Correct --time-format (in Python time_format=)."
DECIMAL_COMMA = "with a comma for its decimal point"
DIGITS = 17
"""Digits with which a float can be written; a number with more is held by none."""
SECONDS, MICROS = 1, 1_000_000
"""Parts of a second, beside `NANOS`, that moments are multiples of."""


@dataclass(frozen=True)
class ParsedTimes:
    """A piece of a column of times in every way that it can be read; null where a value cannot be read so.

    Attributes:
        given: the piece as it was given.
        whole: as Int64, if a value is a number.
        real: as numbers, with fractions or without.
        dates: as moments, by form.
    """

    given: pl.Series
    whole: pl.Series | None = None
    real: pl.Series | None = None
    dates: Mapping[str, Moments] = field(default_factory=dict)

    def seconds(self, form: str) -> pl.Series:
        """Return the seconds of the moments in a form."""
        if form in self.dates:
            return self.dates[form].seconds
        return pl.repeat(None, len(self.given), dtype=pl.Int64, eager=True)


@dataclass
class _Numbers:
    """What is known of the numbers of a column, whatever its pieces are."""

    whole: int = 0            # values that are whole numbers
    real: int = 0             # values that are numbers
    largest: float = 0.0      # size of the largest
    decimals: int = 0         # digits of the longest fraction
    is_long: bool = False     # whether one has more digits than floats hold

    def add(self, given: pl.Series, whole: pl.Series, real: pl.Series) -> None:
        """Take the numbers of a piece into account."""
        self.whole += len(whole) - whole.null_count()
        self.real += len(real) - real.null_count()
        self.largest = max(self.largest, float(_size(real)))
        self.is_long |= _size(whole) > EXACT
        if whole.null_count() and not given.dtype.is_float():
            self._measure(_texts(given).filter(real.is_not_null()).str.strip_chars())

    def _measure(self, numbers: pl.Series) -> None:
        """Take into account how many digits numbers have that are written with fractions or exponents."""
        is_fraction = numbers.str.contains(".", literal=True) & ~numbers.str.contains("[eE]")
        fractions = numbers.filter(is_fraction).str.strip_chars_end("0")
        if len(fractions):
            decimals = fractions.str.len_bytes() - fractions.str.find(".", literal=True) - 1
            self.decimals = max(self.decimals, int(decimals.max()))  # type: ignore[arg-type]
        for long in (fractions, numbers.filter(~is_fraction)):
            long = long.filter(long.str.len_bytes() > DIGITS)
            digits = long.str.replace(r"[eE].*", "").str.replace_all(r"^[+-]?0*\.?0*|\D", "").str.len_bytes()
            self.is_long |= bool((digits > DIGITS).any())

    @property
    def scale(self) -> int | None:
        """What numbers are multiplied by so that they are whole; None where that would be too much."""
        if not self.is_long or self.whole == self.real:
            return 1
        scale = next((10**digits for digits in (0, 3, 6, 9) if self.decimals <= digits), None)
        return scale if scale == 1 or scale is None or self.largest * scale < 2**63 else None


@dataclass
class _Dates:
    """What is known of the moments of a column in one form, whatever its pieces are."""

    usable: int = 0           # values that are moments
    parts: int = SECONDS      # parts of a second that all are multiples of
    farthest: int = 0         # seconds from 1970, of those with fractions

    def add(self, moments: Moments) -> None:
        """Take the moments of a piece into account."""
        self.usable += len(moments)
        fractions = moments.nanos != 0
        if fractions.any():
            self.parts = max(self.parts, NANOS if (moments.nanos % 1_000 != 0).any() else MICROS)
            self.farthest = max(self.farthest, int(_size(moments.seconds.filter(fractions))))

    @property
    def unit(self) -> Unit:
        """The unit in which moments are held: seconds, unless these would lose their order."""
        if self.parts == MICROS:
            return "s" if self.farthest * MICROS < EXACT else "us"
        return "s" if self.parts == SECONDS else "ns"

    def numbers(self, moments: Moments | None, size: int) -> pl.Series:
        """Return the moments of a piece of so many rows in that unit, null where a value is none."""
        if moments is None:
            numbers = pl.repeat(None, size, dtype=pl.Int64, eager=True)
        else:
            within = moments.seconds.abs() < 2**63 // self.parts - 1
            seconds = moments.seconds.set(~within.fill_null(False), None)
            numbers = seconds * self.parts + moments.nanos // (NANOS // self.parts)
        return seconds_of(numbers) if self.parts == MICROS and self.unit == "s" else numbers


class TimeReader:
    """Reads a column of times as Int64, or as Float64 where there are fractions.

    A column is numbers or dates, never both, so all of it is looked at before any is read. Dates and datetimes become
    seconds since 1970-01-01 UTC, or micro- or nanoseconds where floats of seconds would lose their order; those without
    a zone are taken as UTC. Numbers stay as they are, unless floats would lose the order of their fractions: then they
    become whole numbers of a thousandth, millionth or billionth. What is read does not depend on where pieces end.

    Args:
        time_format: how dates are written, a pattern of strftime; recognised if not given.
    """

    def __init__(self, time_format: str | None = None) -> None:
        self._format = time_format
        self._numbers = _Numbers()
        self._dates = {form: _Dates() for form in FORMS}
        self._either, self._example = 0, ""      # dates that are one day with months and days swapped; one that is not
        self._alien: pl.DataType | None = None
        self._zoned = 0                          # values with an offset or a zone

    @property
    def clock(self) -> Clock:
        """What is known of the times, once all of the column was looked at."""
        form = self._form
        if form is None:
            return Clock(scale=self._numbers.scale or 1)
        dates = self._dates[form]
        zoned = min(self._zoned, dates.usable)
        return Clock(dates.unit, form=self._format or form, without_offset=dates.usable - zoned, with_offset=zoned)

    def problem(self) -> str | None:
        """Return what makes the whole column unusable, a sentence with the remedy; None where nothing does."""
        if self._alien is not None:
            return f"timestamp has type {self._alien}. {EXPECTED} Convert the column, or name another one."
        first, second = self._dates[MONTH_FIRST].usable, self._dates[DAY_FIRST].usable
        if self._form in (MONTH_FIRST, DAY_FIRST) and first == second != self._either:
            return f"timestamp {self._example!r} may be month/day or day/month, and no other row tells which. {FORMAT}"
        if self._form is None and self._numbers.scale is None:
            return (
                f"timestamp has fractions of {self._numbers.decimals} digits beside numbers of more than {DIGITS}, so "
                "that their order would be lost. Write whole numbers, as nanoseconds."
            )
        return None

    def look(self, given: pl.Series) -> ParsedTimes:
        """Take a piece of the column into account, and return it as `read` takes it."""
        parsed = self.parse(given)
        if parsed.whole is not None and parsed.real is not None:
            self._numbers.add(given, parsed.whole, parsed.real)
        for form, moments in parsed.dates.items():
            self._dates[form].add(moments)
        self._zoned += count_zoned(given, self._format) if parsed.dates else 0
        if MONTH_FIRST in parsed.dates or DAY_FIRST in parsed.dates:
            month_first, day_first = (parsed.seconds(form) for form in (MONTH_FIRST, DAY_FIRST))
            same = (month_first == day_first).fill_null(False)
            self._either += int(same.sum())
            unsure = given.filter(~same & (month_first.is_not_null() | day_first.is_not_null()))
            self._example = self._example or (str(unsure[0])[:40] if len(unsure) else "")
        return parsed

    def read(self, parsed: ParsedTimes) -> pl.Series:
        """Return a piece as Int64 or Float64, null where a value is no time."""
        form, whole, real = self._form, parsed.whole, parsed.real
        if form is not None:
            return self._dates[form].numbers(parsed.dates.get(form), len(parsed.given))
        if whole is None or real is None:
            return pl.repeat(None, len(parsed.given), dtype=pl.Int64, eager=True)
        if self._numbers.whole == self._numbers.real:
            return whole
        if self._numbers.is_long:
            return _scaled(_texts(parsed.given), real, self._numbers.scale or 1)
        return real.cast(pl.Float64)

    def parse(self, given: pl.Series) -> ParsedTimes:
        """Return a piece of the column in every way that it can be read."""
        kind = given.dtype
        if self._format is None and kind.is_integer():
            whole = given.cast(pl.Int64, strict=False)
            return ParsedTimes(given, whole, whole)
        if self._format is None and kind.is_float():
            none = pl.repeat(None, len(given), dtype=pl.Int64, eager=True)
            return ParsedTimes(given, none, _finite(given.cast(pl.Float64)))
        if kind == pl.Date or isinstance(kind, pl.Datetime):
            return ParsedTimes(given, dates={DATES: Moments.of(given)})
        if not (kind in (pl.String, pl.Null) or kind.is_numeric() or isinstance(kind, pl.Categorical | pl.Enum)):
            self._alien = kind
            return ParsedTimes(given)
        text = _texts(given)
        if self._format is not None:
            return ParsedTimes(given, dates={DATES: read_formatted(text, self._format)})
        whole = _number(text, pl.Int64)
        real = _finite(_number(text, pl.Float64)) if whole.null_count() else whole
        dates = read_dates(text.set(real.is_not_null(), None)) if real.null_count() else {}
        return ParsedTimes(given, whole, real, dates)

    @property
    def _form(self) -> str | None:
        """The form in which most values can be read; None where they are numbers."""
        form = max(FORMS, key=lambda form: self._dates[form].usable)
        return form if self._dates[form].usable > self._numbers.real else None


def found_time(value: object) -> str:
    """Return what an unusable timestamp is said to be."""
    text = "" if value is None else str(value).strip()
    if not text:
        return "timestamp is empty"
    found = f"timestamp is {str(value)[:40]!r}"
    if text.lstrip("+-").isdigit() and len(text) > DIGITS:
        return f"{found}, beyond the largest whole number (9223372036854775807)"
    whole, comma, fraction = text.lstrip("+-").partition(",")
    return f"{found}, {DECIMAL_COMMA}" if comma and (whole + fraction).isdigit() else found


def shown_value(given: pl.Series, row: int) -> object:
    """Return a value for a message; a moment as its number, since no date library shows all of them."""
    return given.to_physical()[row] if given.dtype.is_temporal() else given[row]


def _texts(given: pl.Series) -> pl.Series:
    """Return the values as texts; those of decimals never look like whole numbers, as these columns stay floats."""
    kind = given.dtype
    if isinstance(kind, pl.Decimal) and not kind.scale:
        given = given.cast(pl.Decimal(38, 1), strict=False)
    return given.cast(pl.String)


def _number(text: pl.Series, kind: type[pl.DataType]) -> pl.Series:
    """Return texts as numbers, with white space around them or without, null where they are none."""
    numbers = text.cast(kind, strict=False)
    return text.str.strip_chars().cast(kind, strict=False) if numbers.null_count() else numbers


def _scaled(text: pl.Series, real: pl.Series, scale: int) -> pl.Series:
    """Return decimal numbers times a power of ten as whole numbers, null where they are none then."""
    digits = len(str(scale)) - 1
    parts = text.str.strip_chars().str.extract_groups(r"^([+-]?\d*)(?:\.(\d*?)0*)?$").struct.unnest().to_series
    whole, fraction = parts(0), parts(1).fill_null("")
    exact = (whole + fraction.str.pad_end(digits, "0")).cast(pl.Int64, strict=False)
    others = whole.is_null() & real.is_not_null()  # with an exponent
    if others.any():
        numbers = [Decimal(number.strip()) * scale for number in text.filter(others)]
        fitting = [int(n) if n % 1 == 0 and abs(n) < 2**63 else None for n in numbers]
        exact = exact.scatter(others.arg_true(), pl.Series(fitting, dtype=pl.Int64))
    return exact


def _size(values: pl.Series) -> float:
    """Return the size of the largest of numbers, 0 where there is none."""
    low, high = values.min(), values.max()
    return 0 if low is None else max(-low, high)  # type: ignore[operator, return-value, type-var]


def _finite(values: pl.Series) -> pl.Series:
    """Return floats, null where they are not finite."""
    return values.set(~values.is_finite().fill_null(False), None)
