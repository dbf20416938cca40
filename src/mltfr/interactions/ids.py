"""Ids: what an id of a user or an item is, and how values of any type become one.

An id is a text without white space around it; white space is what Unicode calls so (`White_Space`), whichever library
reads it. Whole numbers of any type are ids by their digits: 1, 1.0, `numpy.int64(1)` and `Decimal("1.00")` are "1".
Missing values (None, NaN, `pandas.NA`, blank texts) are no id. All else is refused: truth values, fractions, bytes,
lists, dates, and floats so large that neighbouring whole numbers are one float.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import DataError

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What is stripped off ids: what polars strips by itself. Python's own idea of white space is wider."""
EXPECTED = "Ids are texts or whole numbers."
_EXACT = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}
_LONGEST = 10**38
_NOT_WHOLE, _CONVERT = "not a whole number", "convert the column"
_FIRST = 1_000
"""Ids of a piece that are searched for whole numbers, where none is decimal."""
_MISSING = [form for word in ("nan", "null", "none", "na", "n/a", "<na>", "nat", "undefined")
            for form in (word, word.upper(), word.capitalize())] + ["NaN", "NaT"]  # fmt: skip
_ODD = r"^\s|\s$|^$"  # faster than to strip a clean column


def kind_of(value: Any) -> str | None:
    """Return what a Python value is as an id: "string" or "number"; None if it is missing, else what it is instead."""
    value = _single(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas' missing values
        return None
    if isinstance(value, str):
        return "text with half a character" if not is_unicode(value) else "string" if value.strip(WHITE_SPACE) else None
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, Integral):
        return "number" if -_LONGEST < int(value) < _LONGEST else "number of many digits"
    if not isinstance(value, Real | Decimal):
        return type(value).__name__
    number: Any = value
    if value.is_nan() if isinstance(value, Decimal) else value != value:
        return None
    if value in (float("inf"), float("-inf")):
        return "infinite number"
    limit = 2 ** (np.finfo(type(value)).nmant + 1) if isinstance(value, float | np.floating) else _LONGEST
    if not -limit < number < limit:
        return "number that is not exact"
    return "number" if number == int(number) else "fraction"


def id_of(value: Any, what: str, strip: Strip | None = None) -> str | None:
    """Return a Python value as an id, None if it is missing.

    Args:
        value: any value.
        what: what it is, for the message ("The item").
        strip: counts what is stripped.

    Raises:
        DataError: it is neither a text nor a whole number.
    """
    value, kind = _single(value), kind_of(value)
    if kind is None:
        return None
    if kind == "string":
        return (strip or Strip(what)).text(value)
    if kind == "number":
        return str(int(value))
    raise DataError(f"{what} is a {kind} ({shown(value)}). {EXPECTED}")


def id_texts(values: pl.Series, what: str, skip_invalid: bool = False) -> pl.Series:
    """Return a typed column of ids as texts, before white space is stripped; missing values are null.

    Args:
        values: the column.
        what: what it is, for the message ("log.parquet: user_id").
        skip_invalid: whether numbers that are no id become missing values instead of being an error.

    Raises:
        DataError: it holds neither texts nor whole numbers.
    """
    kind = values.dtype
    if kind.is_float():
        values = values.fill_nan(None)
        limit = next((limit for float_type, limit in _EXACT.items() if kind == float_type), 2**53)
        refuse = partial(_refuse, what=what, skip_invalid=skip_invalid)
        values = refuse(values, values.is_infinite() | (values % 1 != 0), found=_NOT_WHOLE, remedy=_CONVERT)
        merged = f"more than a {kind} holds exactly: different ids may have become one"
        values = refuse(values, values.abs() >= limit, found=merged, remedy="write them as Int64 or texts")
        values = values.cast(pl.Int64)
    elif isinstance(kind, pl.Decimal):
        values = _refuse(values, values != values.floor(), what, _NOT_WHOLE, _CONVERT, skip_invalid)
        values = values.cast(pl.Int128)
    elif not (kind.is_integer() or kind in (pl.String, pl.Null) or isinstance(kind, pl.Categorical | pl.Enum)):
        raise DataError(f"{what} has type {kind}. {EXPECTED[:-1]}; convert the column.")
    return values.cast(pl.String)


class DecimalIds:
    """Notices ids of one column, over all its pieces, that stand there both like 4 and like 4.0, which are two ids.

    Args:
        name: what they are called in the note ("values of user_id").
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.decimal, self.whole = "", False

    def look(self, ids: pl.Series) -> None:
        """Take a piece into account; without decimals so far, whole numbers are looked for at its head alone."""
        if not self.decimal and (decimal := ids.str.ends_with(".0")).any():
            found = ids.filter(decimal)
            found = found.filter(found.str.contains(r"^\d+\.0$"))
            self.decimal = found[0] if len(found) else ""
        if not self.whole:
            searched = ids if self.decimal else ids.head(_FIRST)
            plain = searched.filter(~searched.str.contains(".", literal=True).fill_null(True))
            self.whole = bool(plain.str.contains(r"^\d+$").any())

    @property
    def notes(self) -> tuple[str, ...]:
        """That there are both, a sentence; nothing if there are not."""
        if not (self.decimal and self.whole):
            return ()
        whole = self.decimal.removesuffix(".0")
        return (f"{self.name} are written like {self.decimal!r} and like {whole!r}, which are different ids.",)


class _Noticed:
    """Counts the ids of one column that something is said of, over all its pieces, and keeps the first one.

    Args:
        name: what they are called in the note ("values of user_id").
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.example = ""

    def _add(self, found: pl.Series) -> None:
        """Count the ids that were found in a piece."""
        if len(found):
            self.example = self.example or found[0]
            self.count += len(found)


class MissingTexts(_Noticed):
    """Notices ids of one column that programs write where a value is missing; they stay ids."""

    def look(self, ids: pl.Series) -> None:
        """Take a piece into account."""
        self._add(ids.filter(ids.is_in(_MISSING).fill_null(False)))

    @property
    def notes(self) -> tuple[str, ...]:
        """That there are some, two sentences; nothing if there are none."""
        if not self.count:
            return ()
        note = f"{self.name} look like missing ones, and are kept as ids: {self.count:,}, as {self.example!r}."
        return (f"{note} Leave these rows out of the file if that is what they are.",)


class Strip(_Noticed):
    """Strips white space off the ids of one column, over all its pieces, and remembers what it did.

    Every piece goes through `look`; when all have, every piece goes through `strip`, which sees ids that become one.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._raw: list[pl.Series] = []    # distinct ids with white space around them
        self._both: list[pl.Series] = []   # distinct ids that occur with it and without
        self._known: pl.Series | None = None

    def look(self, ids: pl.Series) -> pl.Series:
        """Take a piece of the column into account, and say of every id whether it is missing or blank."""
        odd = ids.str.contains(_ODD).fill_null(True)
        if not odd.any():
            return odd
        rows = odd.arg_true()
        given = ids.gather(rows)
        blank = (given.str.strip_chars() == "").fill_null(True)
        raw = given.filter(~blank)
        self._add(raw)
        if len(raw):
            self._raw.append(raw.unique(maintain_order=True))
        return pl.repeat(False, len(ids), eager=True).scatter(rows.filter(blank), True)

    def text(self, text: str) -> str:
        """Return one id without white space around it."""
        stripped = text.strip(WHITE_SPACE)
        if len(stripped) < len(text):
            self.example = self.example or text
            self.count += 1
        return stripped

    def strip(self, ids: pl.Series) -> pl.Series:
        """Return a piece without white space around its ids; the piece itself if no piece holds any."""
        if not self.count:
            return ids
        if self._known is None:
            self._known = self._distinct().str.strip_chars().unique().implode()
        plain = ids.filter(~ids.str.contains(_ODD)).unique()
        if len(plain):
            self._both.append(plain.filter(plain.is_in(self._known)))
        return ids.str.strip_chars()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was stripped, a sentence or two; nothing if nothing was."""
        if not self.count:
            return ()
        note = f"white space was stripped off {self.name}: {self.count:,}, as in {self.example!r}"
        if self._known is None:
            return (f"{note}.",)
        raw = self._distinct()
        stripped = raw.str.strip_chars()
        merged = pl.concat([stripped.filter(stripped.is_duplicated()), *self._both]).unique()
        if len(merged):
            first = raw.filter(stripped.is_in(merged.implode()))[0]
            note += f"; ids written in several ways that became one: {len(merged):,}, as {first!r}"
        return (f"{note}.",)

    def _distinct(self) -> pl.Series:
        return pl.concat([pl.Series(dtype=pl.String), *self._raw]).unique(maintain_order=True)


def _single(value: Any) -> Any:
    """Return a value without the array or tensor around it, if it is the only one."""
    return value.item() if getattr(value, "ndim", None) == 0 and not isinstance(value, np.generic) else value


def is_unicode(text: str) -> bool:
    """Say whether a text is Unicode: no half of a pair that JSON writes as two, no byte that is no text."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """Return the beginning of a value, for a message."""
    try:
        return ascii(value)[:40] if isinstance(value, str) else str(value)[:40]
    except ValueError:  # more digits than Python writes
        return "..."


def _refuse(
    values: pl.Series, bad: pl.Series, what: str, found: str, remedy: str, skip_invalid: bool
) -> pl.Series:
    """Return a column without its bad values, or raise where they may not be skipped."""
    if bad.any():
        if skip_invalid:
            return values.set(bad.fill_null(False), None)
        first = values.filter(bad.fill_null(False))[0]
        raise DataError(f"{what} holds {first}, {found}. {EXPECTED[:-1]}; {remedy}.")
    return values
