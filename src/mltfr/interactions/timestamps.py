"""Times as numbers: integers, floats, ISO dates and ISO datetimes."""

from __future__ import annotations

import polars as pl

EXPECTED = "timestamp must be an integer, a float, or an ISO date or datetime (2024-05-31T18:00:00), all alike."
_DATETIMES = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")


class TimeReader:
    """Reads a column of times as Int64, or as Float64 where there are fractions.

    A column is numbers or dates, never both, so all of it is looked at before any is read. Dates and datetimes become
    seconds since 1970-01-01 UTC; those without a zone are taken as UTC.
    """

    def __init__(self) -> None:
        self._not = {"whole": 0, "real": 0, "date": 0}  # values of a text column that are not such
        self._fraction = False
        self._last: tuple[pl.Series, pl.Series, pl.Series, pl.Series] | None = None

    def look(self, given: pl.Series) -> None:
        """Take a piece of the column into account."""
        if _is_moment(given.dtype):
            self._fraction |= _has_fraction(_moment_micros(given.cast(pl.Datetime("us"))))
        if not _is_text(given.dtype):
            return
        text = given.cast(pl.String)
        whole = text.cast(pl.Int64, strict=False)
        real = _finite(text.cast(pl.Float64, strict=False)) if whole.null_count() else whole
        dates = _date_micros(text) if real.null_count() else whole.clear()
        self._fraction |= _has_fraction(dates)
        self._not["whole"] += whole.null_count()
        self._not["real"] += real.null_count()
        self._not["date"] += dates.null_count() if len(dates) else len(text)
        self._last = given, whole, real, dates

    def read(self, given: pl.Series) -> pl.Series:
        """Return a piece as Int64 or Float64, null where a value is no time."""
        kind = given.dtype
        if _is_moment(kind):
            return self._seconds(_moment_micros(given.cast(pl.Datetime("us"))))
        if kind.is_integer():
            return given.cast(pl.Int64, strict=False)
        if kind.is_float() or isinstance(kind, pl.Decimal):
            return _finite(given.cast(pl.Float64))
        if not _is_text(kind):
            return pl.Series(given.name, [None] * len(given), dtype=pl.Int64)
        text = given.cast(pl.String)
        last = self._last if self._last is not None and self._last[0] is given else None
        if self._not["real"] and self._not["date"] < self._not["real"]:
            return self._seconds(last[3] if last and len(last[3]) else _date_micros(text))
        if self._not["whole"] == self._not["real"]:
            return last[1] if last else text.cast(pl.Int64, strict=False)
        return last[2].cast(pl.Float64) if last else _finite(text.cast(pl.Float64, strict=False))

    def _seconds(self, micros: pl.Series) -> pl.Series:
        return micros / 1_000_000 if self._fraction else micros // 1_000_000


def numbers(given: pl.Series) -> pl.Series:
    """Return a whole column of times as Int64 or Float64, null where a value is no time."""
    reader = TimeReader()
    reader.look(given)
    return reader.read(given)


def found_time(value: object) -> str:
    """Return what an unusable timestamp is said to be."""
    empty = value is None or str(value).strip() == ""
    return "timestamp is empty" if empty else f"timestamp is {str(value)[:40]!r}"


def _date_micros(text: pl.Series) -> pl.Series:
    """Return ISO dates and datetimes as microseconds since 1970-01-01 UTC, null where a text is none."""
    text = text.str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d)[ t]", "${1}T").str.replace(r"[zZ]$", "+00:00")
    parsed = text.str.to_datetime("%Y-%m-%d", strict=False, time_unit="us")
    for pattern in _DATETIMES:
        for zone in ("", "%#z"):
            if not parsed.null_count():
                break
            more = text.str.to_datetime(pattern + zone, strict=False, time_unit="us")
            parsed = parsed.zip_with(parsed.is_not_null(), more.dt.replace_time_zone(None))
    return _moment_micros(parsed)


def _moment_micros(moments: pl.Series) -> pl.Series:
    """Return datetimes as microseconds since 1970-01-01 UTC."""
    moments = moments.cast(pl.Datetime("us")) if moments.dtype == pl.Date else moments
    if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_zone is not None:
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return moments.dt.timestamp("us")


def _has_fraction(micros: pl.Series) -> bool:
    """Say whether any of these moments lies between two seconds."""
    return bool((micros % 1_000_000 != 0).any())


def _finite(values: pl.Series) -> pl.Series:
    """Return floats, null where they are not finite."""
    return values.set(~values.is_finite().fill_null(False), None)


def _is_text(kind: pl.DataType) -> bool:
    return kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum)


def _is_moment(kind: pl.DataType) -> bool:
    return kind == pl.Date or isinstance(kind, pl.Datetime)
