"""Times as numbers: integers, floats, ISO dates and ISO datetimes."""

from __future__ import annotations

import polars as pl

from mltfr.interactions.raw import TIME, RawTable

EXPECTED = "timestamp must be an integer, a float, or an ISO date or datetime (2024-05-31T18:00:00), all alike."
_DATETIMES = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")


def parse_timestamps(table: RawTable, skip_invalid: bool) -> RawTable:
    """Return the table with its timestamps as Int64, or Float64 where there are fractions.

    Dates and datetimes become seconds since 1970-01-01 UTC; those without a zone are read as UTC.
    A column is numbers or dates, never both.

    Raises:
        DataError: a timestamp is empty, not finite or unparsable, and `skip_invalid` is off.
    """
    given = table.frame[TIME]
    parsed = numbers(given)
    bad = parsed.is_null()

    table = table.reject(bad, lambda row: found_time(given[row]), EXPECTED, skip_invalid)
    return _with_timestamps(table, parsed.filter(~bad) if bad.any() else parsed)


def found_time(value: object) -> str:
    """Return what an unusable timestamp is said to be."""
    empty = value is None or str(value).strip() == ""
    return "timestamp is empty" if empty else f"timestamp is {str(value)[:40]!r}"


def _with_timestamps(table: RawTable, parsed: pl.Series) -> RawTable:
    return RawTable(table.name, table.frame.with_columns(parsed.alias(TIME)), table.place, table.skipped)


def numbers(given: pl.Series) -> pl.Series:
    """Return a column of times as Int64 or Float64, null where a value is no time."""
    kind = given.dtype
    if kind == pl.Date or isinstance(kind, pl.Datetime):
        return _seconds(moment_micros(given.cast(pl.Datetime("us"))))
    if kind.is_integer():
        return given.cast(pl.Int64, strict=False)
    if kind.is_float() or isinstance(kind, pl.Decimal):
        return finite(given.cast(pl.Float64))
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        return _from_text(given.cast(pl.String))
    return pl.Series(given.name, [None] * len(given), dtype=pl.Int64)


def _from_text(text: pl.Series) -> pl.Series:
    whole = text.cast(pl.Int64, strict=False)
    if not whole.null_count():
        return whole
    real = finite(text.cast(pl.Float64, strict=False))
    dates = _dates(text) if real.null_count() else real.clear()
    if len(dates) and dates.null_count() < real.null_count():
        return dates
    return whole if whole.null_count() == real.null_count() else real


def _dates(text: pl.Series) -> pl.Series:
    return _seconds(date_micros(text))


def date_micros(text: pl.Series) -> pl.Series:
    """Return ISO dates and datetimes as microseconds since 1970-01-01 UTC, null where a text is none."""
    text = text.str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d)[ t]", "${1}T").str.replace(r"[zZ]$", "+00:00")
    parsed = text.str.to_datetime("%Y-%m-%d", strict=False, time_unit="us")
    for pattern in _DATETIMES:
        for zone in ("", "%#z"):
            if not parsed.null_count():
                break
            more = text.str.to_datetime(pattern + zone, strict=False, time_unit="us")
            parsed = parsed.zip_with(parsed.is_not_null(), more.dt.replace_time_zone(None))
    return moment_micros(parsed)


def moment_micros(moments: pl.Series) -> pl.Series:
    """Return datetimes as microseconds since 1970-01-01 UTC."""
    moments = moments.cast(pl.Datetime("us")) if moments.dtype == pl.Date else moments
    if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_zone is not None:
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return moments.dt.timestamp("us")


def has_fraction(micros: pl.Series) -> bool:
    """Say whether any of these moments lies between two seconds."""
    return bool((micros % 1_000_000 != 0).any())


def _seconds(micros: pl.Series) -> pl.Series:
    """Return microseconds as seconds, Int64 unless one of them has a fraction."""
    return micros / 1_000_000 if has_fraction(micros) else micros // 1_000_000


def finite(values: pl.Series) -> pl.Series:
    """Return floats, null where they are not finite."""
    return values.set(~values.is_finite().fill_null(False), None)
