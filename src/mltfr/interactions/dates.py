"""Dates and datetimes in texts: what form they have, and which moments they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from mltfr.errors import DataError

NANOS = 1_000_000_000
"""Nanoseconds of a second."""
DATES, MONTH_FIRST, DAY_FIRST = "dates", "month first", "day first"
FORMS = (DATES, MONTH_FIRST, DAY_FIRST)
"""How dates can be written: so that one reading is possible, or as 2/1/2024 and 1/2/2024."""
_PLAIN = (
    "%Y-%m-%d",
    *(f"%Y-%m-%d{mark}%H:%M{rest}" for mark in "T " for rest in ("", ":%S", ":%S UTC", ":%SZ", ":%S%#z", ":%S%.3f",
      ":%S%.6f", ":%S%.3fZ", ":%S%.6fZ", ":%S%.6f%#z")),
)  # fmt: skip
_TIMES = ("", "T%H:%M:%S", "T%H:%M", "T%I:%M:%S %p", "T%I:%M %p", "T%I:%M:%S%p", "T%I:%M%p")
_ZONED = r"(?i):\d\d.*(?:z|utc|gmt|[+-]\d\d)"
"""What stands in a time with an offset or a zone, and in no other."""
_REWRITTEN = (
    # 10:00+01:00[Europe/Paris]: the offset says it; alone, the name of a zone other than UTC stays and is not read
    (r"(?i)(:\d\d\S*(?: ?[ap]m)?(?: ?(?:utc|gmt)? ?[+-]\d\d(?::?\d\d)?|z))\s*(?:\[[^\]]+\]|\([^)]+\))$", "${1}"),
    (r"(?i)(\d)\s*(?:utc|gmt|z|\[(?:etc/)?utc\]|\((?:utc|gmt)\))$", "${1}"),  # without a zone it is UTC as well
    (r"(?i)\s*(?:utc|gmt)([+-]\d\d)", "${1}"),
    (r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", ""),
    (r"^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)", "${1}-${2}-${3}T${4}:${5}:${6}"),
    (r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", "${1}-${2}-${3}"),
    (r"^(\d{1,2})[-.](\d{1,2})[-.](\d{4})", "${1}/${2}/${3}"),
    (r"^([A-Za-z]{3,9})\.?\s+(\d{1,2})(\s+[\d:.,]+(?:\s*[+-]\d\d:?\d\d)?)\s+(\d{4})$", "${2} ${1} ${4}${3}"),
    (r"^(\d{1,2})[\s/-]([A-Za-z]{3,9})\.?,?[\s/-](\d{4})", "${1} ${2} ${3}"),
    (r"^([A-Za-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})", "${2} ${1} ${3}"),
    (r"(?:[tT]|,?\s+|:)(\d{1,2}:\d\d)", "T${1}"),
)  # fmt: skip
_OF_A_DAY = frozenset("HIklMSfpPTRrXznt")
"""Directives of strftime that say nothing of the day."""
_SAMPLE = 8
_YEAR_1000 = -30_610_224_000
_FRACTION = r"(:\d\d)[.,](\d{1,9})(\D|$)"


@dataclass(frozen=True)
class Moments:
    """Moments of a column: whole seconds since 1970-01-01 UTC, and nanoseconds beyond; null where a value is none."""

    seconds: pl.Series
    nanos: pl.Series

    @classmethod
    def of(cls, typed: pl.Series) -> Self:
        """Return those of a column of dates or datetimes; without a zone they are in UTC."""
        number = typed.to_physical().cast(pl.Int64)  # with a zone too, it counts from 1970-01-01 UTC
        if typed.dtype == pl.Date:
            return cls(number * 86_400, number * 0)
        parts = {"ms": 1_000, "us": 1_000_000, "ns": NANOS}[getattr(typed.dtype, "time_unit", "us")]
        return cls(number // parts, number % parts * (NANOS // parts))

    def __len__(self) -> int:
        """Return how many values are moments."""
        return len(self.seconds) - self.seconds.null_count()


def read_dates(text: pl.Series) -> dict[str, Moments]:
    """Return the moments of a column in each of the `FORMS` that occurs in it."""
    moments, found = _read_all(text, _PLAIN, all_of_them=False), {}
    rest = moments.seconds.is_null() & text.is_not_null()
    if rest.any():
        for form, more in _read_rewritten(text.filter(rest)).items():
            size, places = len(text), rest.arg_true()
            found[form] = Moments(_spread(more.seconds, places, size), _spread(more.nanos, places, size))
    if len(moments):
        both = found.get(DATES, moments)
        pairs = (moments.seconds, both.seconds), (moments.nanos, both.nanos)
        found[DATES] = Moments(*(one.zip_with(one.is_not_null(), other) for one, other in pairs))
    return {form: _with_whole_years(text, moments) for form, moments in found.items()}


def read_formatted(text: pl.Series, pattern: str) -> Moments:
    """Return the moments of a column that is written as a pattern of strftime says.

    Raises:
        DataError: the pattern is none, or has no date.
    """
    if "%Z" in pattern:
        raise DataError(f"The time format {pattern!r} has %Z, the name of a zone. Write UTC in its place, or use %z.")
    directives = {letter for letter in re.findall(r"%(?:%|[-_0#:.\d]*([A-Za-z+]))", pattern) if letter}
    if directives and _OF_A_DAY.issuperset(directives):
        raise DataError(
            f"The time format {pattern!r} has no date, so that times of different days could not be told apart. "
            "Example: '%d/%m/%Y %H:%M'."
        )
    text, nanos = text.str.strip_chars(), None
    plain = re.sub(r"[.,]%\d?f|%\.\d?f", "", pattern)
    if plain != pattern:
        text, nanos = _without_fraction(text)
    try:
        moments = _read_all(text, (plain,))
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"The time format {pattern!r} cannot be used: {reason} Example: '%d/%m/%Y %H:%M'.") from error
    return moments if nanos is None else Moments(moments.seconds, nanos.set(moments.seconds.is_null(), None))


def count_zoned(given: pl.Series, pattern: str | None = None) -> int:
    """Return how many values of a column of dates say their offset or zone.

    Args:
        given: texts or moments.
        pattern: how they are written, where that was given.
    """
    if isinstance(given.dtype, pl.Datetime):
        return len(given) - given.null_count() if given.dtype.time_zone is not None else 0
    if pattern is not None:
        return len(given) - given.null_count() if re.search(r"%[#:]*z|UTC|GMT|Z", pattern) else 0
    return int(given.str.contains(_ZONED).sum()) if given.dtype == pl.String else 0


def _with_whole_years(text: pl.Series, moments: Moments) -> Moments:
    """Return moments without those whose year was written with two digits, and taken for one of antiquity."""
    early = (moments.seconds < _YEAR_1000).fill_null(False)
    if early.any():
        early &= ~text.str.contains(r"(^|\D)\d{4}[-/.\s]|[-/.\s]\d{4}(\D|$)")
    return Moments(moments.seconds.set(early, None), moments.nanos.set(early, None)) if early.any() else moments


def _read_rewritten(text: pl.Series) -> dict[str, Moments]:
    """Return the moments of texts that are not plain ISO, each form rewritten to one pattern first."""
    text = text.str.strip_chars()
    for pattern, written in _REWRITTEN:
        text = text.str.replace(pattern, written)
    text, nanos = _without_fraction(text)
    slashes, found = text.str.contains(r"^\d{1,2}/").fill_null(False), {}
    for form, dates, member in (
        (DATES, ("%Y-%m-%d", "%d %b %Y", "%d %B %Y"), ~slashes),
        (MONTH_FIRST, ("%m/%d/%Y",), slashes),
        (DAY_FIRST, ("%d/%m/%Y",), slashes),
    ):
        patterns = [date + time + zone for time in _TIMES for zone in ("", "%#z")[: 2 if time else 1] for date in dates]
        seconds = _read_all(text.set(~member, None), patterns).seconds
        if seconds.null_count() < len(seconds):
            found[form] = Moments(seconds, nanos.set(seconds.is_null(), None))
    return found


def _without_fraction(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return times without the fractions of their seconds, and these in nanoseconds."""
    nanos = text.str.extract(_FRACTION, 2).str.pad_end(9, "0").cast(pl.Int64).fill_null(0)
    return text.str.replace(_FRACTION, "${1}${3}"), nanos


def _read_all(text: pl.Series, patterns: Sequence[str], all_of_them: bool = True) -> Moments:
    """Return the moments of a column, each value by the first pattern that it fits.

    Args:
        text: the column.
        patterns: those that are tried, first the ones that the first values fit.
        all_of_them: whether the others are tried as well.
    """
    read = pl.repeat(None, len(text), dtype=pl.Datetime("us"), eager=True)
    sample = text.drop_nulls().head(_SAMPLE)
    fits = {pattern: len(sample) - _parse(sample, pattern).null_count() for pattern in patterns}
    for pattern in sorted(patterns, key=lambda each: -fits[each]):
        rest = read.is_null() & text.is_not_null()
        if not rest.any() or not (fits[pattern] or all_of_them):
            break
        more = _parse(text.filter(rest), pattern)
        read = more if len(more) == len(read) else read.scatter(rest.arg_true(), more)
    return Moments.of(read)


def _parse(text: pl.Series, pattern: str) -> pl.Series:
    return text.str.to_datetime(pattern, strict=False, time_unit="us").dt.replace_time_zone(None)


def _spread(values: pl.Series, places: pl.Series, size: int) -> pl.Series:
    """Return a column of nulls with values at some places."""
    return pl.repeat(None, size, dtype=pl.Int64, eager=True).scatter(places, values)
