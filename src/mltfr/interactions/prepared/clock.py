"""How a column of times is read, when it comes a batch at a time."""

from __future__ import annotations

import polars as pl

from mltfr.interactions.timestamps import date_micros, finite, has_fraction, moment_micros, numbers


class Clock:
    """Reads a column of times as `numbers` reads the whole of it: all batches are looked at before any is read."""

    def __init__(self) -> None:
        self._nulls = {"whole": 0, "real": 0, "dates": 0}
        self._fraction = False

    def look(self, given: pl.Series) -> None:
        """Take a batch into account."""
        kind = given.dtype
        if _is_moment(kind):
            self._fraction |= has_fraction(moment_micros(given.cast(pl.Datetime("us"))))
        if not _is_text(kind):
            return
        text = given.cast(pl.String)
        whole = text.cast(pl.Int64, strict=False).null_count()
        real = finite(text.cast(pl.Float64, strict=False)).null_count() if whole else 0
        dates = len(text)
        if real:
            micros = date_micros(text)
            dates = micros.null_count()
            self._fraction |= has_fraction(micros)
        for name, count in (("whole", whole), ("real", real), ("dates", dates)):
            self._nulls[name] += count

    def read(self, given: pl.Series) -> pl.Series:
        """Return a batch as Int64 or Float64, null where a value is no time."""
        if _is_moment(given.dtype):
            return self._seconds(moment_micros(given.cast(pl.Datetime("us"))))
        if not _is_text(given.dtype):
            return numbers(given)
        text, nulls = given.cast(pl.String), self._nulls
        if nulls["real"] and nulls["dates"] < nulls["real"]:
            return self._seconds(date_micros(text))
        if nulls["whole"] == nulls["real"]:
            return text.cast(pl.Int64, strict=False)
        return finite(text.cast(pl.Float64, strict=False))

    def _seconds(self, micros: pl.Series) -> pl.Series:
        return micros / 1_000_000 if self._fraction else micros // 1_000_000


def _is_text(kind: pl.DataType) -> bool:
    return kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum)


def _is_moment(kind: pl.DataType) -> bool:
    return kind == pl.Date or isinstance(kind, pl.Datetime)
