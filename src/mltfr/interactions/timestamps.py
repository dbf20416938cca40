"""A column of times as numbers that keep its order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import polars as pl

from mltfr.interactions.clock import EXACT, Clock, Unit, seconds_of
from mltfr.interactions.dates import DATES, DAY_FIRST, FORMS, MONTH_FIRST, NANOS, Moments, read_dates, read_formatted

EXPECTED = "timestamp must be an integer, a float, or an ISO date or datetime (2024-05-31T18:00:00), all alike."
FORMAT = "Say how the times are written: --time-format '%d/%m/%Y %H:%M' (in Python time_format=)."
WHOLE, REAL = "whole", "real"
DIGITS = 17
"""Digits with which a float can be written; a number with more is held by none."""


@dataclass
class _Parsed:
    """A piece of the column in every way that it can be read."""

    given: pl.Series
    whole: pl.Series | None = None
    real: pl.Series | None = None
    dates: dict[str, Moments] = field(default_factory=dict)


class TimeReader:
    """Reads a column of times as Int64, or as Float64 where there are fractions.

    A column is numbers or dates, never both, so all of it is looked at before any is read. Dates and datetimes become
    seconds since 1970-01-01 UTC, or micro- or nanoseconds where floats of seconds would lose their order; those without
    a zone are taken as UTC. Numbers stay as they are, unless floats would lose the order of their fractions: then they
    become whole numbers of a thousandth, millionth or billionth.

    Args:
        time_format: how dates are written, a pattern of strftime; recognised if not given.
    """

    def __init__(self, time_format: str | None = None) -> None:
        self._format = time_format
        self._usable = dict.fromkeys((WHOLE, REAL, *FORMS), 0)  # values that can be read so
        self._finest = dict.fromkeys(FORMS, 1)                  # nanoseconds that the moments are multiples of, about
        self._farthest = dict.fromkeys(FORMS, 0)                # seconds from 1970, of fractions
        self._long, self._largest = False, 0.0                  # whether a number has more digits than floats
        self._decimals = 0                                      # digits of the longest fraction
        self._either, self._example = 0, ""                     # dates that are one day with months and days swapped
        self._alien: pl.DataType | None = None
        self._last: _Parsed | None = None

    @property
    def clock(self) -> Clock:
        """What is known of the times, once all of the column was looked at."""
        form = self._form()
        return Clock(scale=self._scale() or 1) if form == REAL else Clock(self._moments_in(form)[0])

    def problem(self) -> str | None:
        """Return what makes the whole column unusable, a sentence with the remedy; None where nothing does."""
        if self._alien is not None:
            return f"timestamp has type {self._alien}. {EXPECTED} Convert the column, or name another one."
        first, second = self._usable[MONTH_FIRST], self._usable[DAY_FIRST]
        if self._form() in (MONTH_FIRST, DAY_FIRST) and first == second != self._either:
            return f"timestamp {self._example!r} may be month/day or day/month, and no other row tells which. {FORMAT}"
        if self._form() == REAL and self._scale() is None:
            return (
                f"timestamp has fractions of {self._decimals} digits beside numbers of more than {DIGITS}, so that "
                "their order would be lost. Write whole numbers, as nanoseconds."
            )
        return None

    def look(self, given: pl.Series) -> None:
        """Take a piece of the column into account."""
        parsed = self._parse(given)
        for name, values in ((WHOLE, parsed.whole), (REAL, parsed.real)):
            self._usable[name] += 0 if values is None else len(values) - values.null_count()
        for form, moments in parsed.dates.items():
            self._usable[form] += len(moments)
            self._finest[form] = max(self._finest[form], _fineness(moments.nanos))
            far = moments.seconds.filter(moments.nanos != 0).abs().max()
            self._farthest[form] = max(self._farthest[form], int(far or 0))  # type: ignore[arg-type]
        self._compare(given, parsed.dates.get(MONTH_FIRST), parsed.dates.get(DAY_FIRST))
        if parsed.whole is not None and parsed.real is not None and parsed.whole.null_count():
            self._measure(_texts(given), parsed.whole, parsed.real)
        self._last = parsed

    def _compare(self, given: pl.Series, month_first: Moments | None, day_first: Moments | None) -> None:
        """Take into account where months and days can be swapped, and where that makes no difference."""
        if month_first is not None and day_first is not None:
            same = (month_first.seconds == day_first.seconds).fill_null(False)
            self._either += int(same.sum())
            unsure = given.filter(~same & month_first.seconds.is_not_null() & day_first.seconds.is_not_null())
            self._example = self._example or str(unsure[0] if len(unsure) else given[0])[:40]

    def read(self, given: pl.Series) -> pl.Series:
        """Return a piece as Int64 or Float64, null where a value is no time."""
        if given.dtype.is_integer() and self._format is None:
            return given.cast(pl.Int64, strict=False)
        if given.dtype.is_float() and self._format is None:
            return _finite(given.cast(pl.Float64))
        parsed = self._last if self._last is not None and self._last.given is given else self._parse(given)
        form = self._form()
        if form != REAL:
            return self._moments(parsed.dates.get(form), form, len(given))
        if parsed.whole is None or parsed.real is None:
            return pl.repeat(None, len(given), dtype=pl.Int64, eager=True)
        if self._usable[WHOLE] == self._usable[REAL]:
            return parsed.whole
        return _scaled(_texts(given), parsed.real, self._scale() or 1) if self._long else parsed.real.cast(pl.Float64)

    def _parse(self, given: pl.Series) -> _Parsed:
        kind = given.dtype
        if (kind.is_integer() or kind.is_float()) and self._format is None:
            return _Parsed(given)
        if kind == pl.Date or isinstance(kind, pl.Datetime):
            return _Parsed(given, dates={DATES: Moments.of(given)})
        if not (kind in (pl.String, pl.Null) or kind.is_numeric() or isinstance(kind, pl.Categorical | pl.Enum)):
            self._alien = kind
            return _Parsed(given)
        text = _texts(given)
        if self._format is not None:
            return _Parsed(given, dates={DATES: read_formatted(text, self._format)})
        whole = _number(text, pl.Int64)
        real = _finite(_number(text, pl.Float64)) if whole.null_count() else whole
        return _Parsed(given, whole, real, read_dates(text.set(real.is_not_null(), None)) if real.null_count() else {})

    def _form(self) -> str:
        """Return how most values can be read; numbers come first."""
        return max((REAL, *FORMS), key=lambda form: self._usable[form])

    def _measure(self, text: pl.Series, whole: pl.Series, real: pl.Series) -> None:
        """Take into account how long the numbers of a piece of text are, where not all are whole."""
        self._long |= bool((whole.abs() > EXACT).any())
        self._largest = max(self._largest, float(real.abs().max() or 0))  # type: ignore[arg-type]
        numbers = text.filter(real.is_not_null()).str.strip_chars()
        is_fraction = numbers.str.contains(".", literal=True) & ~numbers.str.contains("[eE]")
        fractions = numbers.filter(is_fraction).str.strip_chars_end("0")
        if len(fractions):
            decimals = fractions.str.len_bytes() - fractions.str.find(".", literal=True) - 1
            self._decimals = max(self._decimals, int(decimals.max()))  # type: ignore[arg-type]
        for long in (fractions, numbers.filter(~is_fraction)):
            long = long.filter(long.str.len_bytes() > DIGITS)
            digits = long.str.replace(r"[eE].*", "").str.replace_all(r"^[+-]?0*\.?0*|\D", "").str.len_bytes()
            self._long |= bool((digits > DIGITS).any())

    def _scale(self) -> int | None:
        """Return what numbers are multiplied by so that they are whole; None where that would be too much."""
        if not self._long or self._usable[WHOLE] == self._usable[REAL]:
            return 1
        scale = next((10**digits for digits in (0, 3, 6, 9) if self._decimals <= digits), None)
        return scale if scale == 1 or scale is None or self._largest * scale < 2**63 else None

    def _moments_in(self, form: str) -> tuple[Unit, int]:
        """Return the unit in which moments are held, and how many of the smallest part that it holds are a second."""
        if self._finest[form] == 1:
            return "s", 1
        if self._finest[form] == 3:
            return "ns", NANOS
        return ("s", 1_000_000) if self._farthest[form] * 1_000_000 < EXACT else ("us", 1_000_000)

    def _moments(self, moments: Moments | None, form: str, size: int) -> pl.Series:
        unit, parts = self._moments_in(form)
        if moments is None:
            kind = pl.Float64 if parts > 1 and unit == "s" else pl.Int64
            return pl.repeat(None, size, dtype=kind, eager=True)
        within = moments.seconds.abs() < 2**63 // parts - 1
        seconds = moments.seconds.set(~within.fill_null(False), None)
        numbers = seconds * parts + moments.nanos // (NANOS // parts)
        return seconds_of(numbers) if parts > 1 and unit == "s" else numbers


def found_time(value: object) -> str:
    """Return what an unusable timestamp is said to be."""
    text = "" if value is None else str(value).strip()
    if not text:
        return "timestamp is empty"
    found = f"timestamp is {str(value)[:40]!r}"
    if text.lstrip("+-").isdigit() and len(text) > DIGITS:
        return f"{found}, beyond the largest whole number (9223372036854775807)"
    whole, comma, fraction = text.lstrip("+-").partition(",")
    return f"{found}, with a comma for its decimal point" if comma and (whole + fraction).isdigit() else found


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


def _fineness(nanos: pl.Series) -> int:
    """Return 1 where all are whole seconds, 2 where they are whole microseconds, else 3."""
    if not (nanos != 0).any():
        return 1
    return 3 if (nanos % 1_000 != 0).any() else 2


def _finite(values: pl.Series) -> pl.Series:
    """Return floats, null where they are not finite."""
    return values.set(~values.is_finite().fill_null(False), None)
