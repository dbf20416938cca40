"""Conditions on the rows of a log, over its own columns: `rating >= 4 and event in buy,cart`.

    condition   := all { or all }
    all         := one { and one }
    one         := ( condition ) | COLUMN = VALUE | COLUMN in VALUES | COLUMN not in VALUES
    VALUES      := VALUE { , VALUE } | ( VALUE { , VALUE } )

Beside `=` there are `!=`, `<`, `<=`, `>` and `>=`. A column stands on the left, values on the right; both are words, or
texts between quotes. A text is parsed into these few forms, of which polars makes expressions; nothing is evaluated.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from mltfr.errors import ConfigError, shown

Value = str | int | float
"""A number where one is written without quotes, else a text."""
EXACT = 2**53
"""Whole numbers from which on floats do not hold all."""
LARGEST = 10**38
MOST_LEVELS = 50
"""Parentheses within each other, at most."""
CORRECT = "Correct --where (filters.where)."
_EXAMPLE = "Example: rating >= 4 and event in buy,cart; quotes stand around what has spaces: 'add to cart'."
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<mark><=|>=|!=|<>|==|[=<>,()])|(?P<word>[^\s'"=<>!,()]+))"""
)
_NUMBER = re.compile(r"[+-]?(\d+|\d+\.\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_SAME = {"==": "=", "<>": "!="}
_ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """What is asked of one column: to stand in an order to a value, or to be (or not to be) one of several.

    Attributes:
        column: name of the column.
        sign: "<", "<=", ">", ">=", "in" or "not in"; `=` is an "in" of one value.
        values: one value, or several of "in" and "not in".
    """

    column: str
    sign: str
    values: tuple[Value, ...]

    def expression(self, column: pl.Expr, kind: pl.DataType) -> pl.Expr:
        """Return the condition as an expression that is true or false, false in an order of what is missing.

        Args:
            column: the values.
            kind: their type: a number's, or String.
        """
        if self.sign in _ORDERS:
            return _compared(column, kind, _ORDERS[self.sign], self.values[0]).fill_null(False)
        texts = [value.strip() for value in self.values if isinstance(value, str)]
        found = [_compared(column, kind, operator.eq, value) for value in self.values if not isinstance(value, str)]
        if texts:
            found.append(_stripped(column).is_in(texts))
        met = pl.any_horizontal(part.fill_null(False) for part in found)
        return ~met if self.sign == "not in" else met

    @property
    def is_order(self) -> bool:
        """Whether values are asked to stand in an order to one."""
        return self.sign in _ORDERS

    @property
    def first_text(self) -> str | None:
        """The first value that is a text, None if all are numbers."""
        return next((value for value in self.values if isinstance(value, str)), None)


@dataclass(frozen=True)
class Both:
    """Conditions of which all, or any, must be met."""

    word: str
    parts: tuple[Comparison | Both, ...]


@dataclass(frozen=True)
class Where:
    """A condition on rows.

    Attributes:
        text: as it was given.
        tree: as it was parsed.
    """

    text: str
    tree: Comparison | Both

    @property
    def comparisons(self) -> list[Comparison]:
        """All comparisons, in their order."""
        return list(_leaves(self.tree))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are compared."""
        return tuple(dict.fromkeys(part.column for part in self.comparisons))

    def expression(self, columns: Mapping[str, tuple[pl.Expr, pl.DataType]]) -> pl.Expr:
        """Return the condition as an expression that is true or false for every row.

        Args:
            columns: values and type of every column by its name; numbers that no text is compared with, or texts.
        """

        def of(part: Comparison | Both) -> pl.Expr:
            if isinstance(part, Comparison):
                return part.expression(*columns[part.column])
            joined = pl.all_horizontal if part.word == "and" else pl.any_horizontal
            return joined(of(inner) for inner in part.parts)

        return of(self.tree)


def parse_where(text: str) -> Where:
    """Return the condition that a text is.

    Raises:
        ConfigError: it is none; the message quotes where it goes wrong.
    """
    parser = _Parser(text)
    tree = parser.either(0)
    if parser.kind:
        raise parser.error("'and', 'or' or the end")
    return Where(text, tree)


class _Parser:
    """Takes a text apart from left to right; `kind` and `next` are what stands next, "" at the end."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.end = text, 0, 0
        self.kind = self.next = ""
        self.step()

    def step(self) -> str:
        """Return the token that stands next, and go to the one behind it."""
        token, self.at = self.next, self.end
        found = _TOKEN.match(self.text, self.at)
        if found is None and self.text[self.at :].strip():
            self.kind = "odd"
            raise self.error("a column, a value or a sign of comparison; a quote that opens must close")
        self.kind, self.next, self.end = "", "", len(self.text)
        if found is not None:
            self.kind, self.next, self.end = str(found.lastgroup), found[0].strip(), found.end()
        if self.kind == "quoted":
            mark = self.next[0]
            self.next = self.next[1:-1].replace(2 * mark, mark)
        return token

    def error(self, expected: str) -> ConfigError:
        """Return the error about what stands next."""
        rest = self.text[self.at :].strip()
        where = f"at {shown(rest, 40)}" if rest else "at its end"
        return ConfigError(f"{shown(self.text)} is no condition on rows: {where}, expected {expected}. {_EXAMPLE}")

    def is_word(self, word: str) -> bool:
        """Say whether a word of the grammar stands next; in quotes it is a value."""
        return self.kind == "word" and self.next.lower() == word

    def take(self, mark: str) -> bool:
        """Say whether a mark stands next, and pass over it."""
        if self.kind == "mark" and self.next == mark:
            self.step()
            return True
        return False

    def either(self, level: int) -> Comparison | Both:
        """Take conditions with "or" between them."""
        return self._joined("or", lambda: self._joined("and", lambda: self._one(level)))

    def _joined(self, word: str, part: Callable[[], Comparison | Both]) -> Comparison | Both:
        parts = [part()]
        while self.is_word(word):
            self.step()
            parts.append(part())
        return Both(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self, level: int) -> Comparison | Both:
        if self.kind == "mark" and self.next == "(":
            if level >= MOST_LEVELS:
                raise self.error(f"at most {MOST_LEVELS} parentheses within each other")
            self.step()
            inner = self.either(level + 1)
            if not self.take(")"):
                raise self.error("'and', 'or' or ')'")
            return inner
        if self.kind not in ("word", "quoted"):
            raise self.error("a column")
        column = self.step()
        if self.kind == "mark" and self.next not in (",", "(", ")"):
            sign = self.step()
            sign, value = _SAME.get(sign, sign), self._value()
            return Comparison(column, {"=": "in", "!=": "not in"}.get(sign, sign), (value,))
        no = self.is_word("not")
        if no:
            self.step()
        if not self.is_word("in"):
            raise self.error("'in'" if no else "=, !=, <, <=, >, >=, 'in' or 'not in'")
        self.step()
        closed = self.take("(")
        values = [self._value()]
        while self.take(","):
            values.append(self._value())
        if closed and not self.take(")"):
            raise self.error("',' or ')'")
        return Comparison(column, "not in" if no else "in", tuple(values))

    def _value(self) -> Value:
        if self.kind == "quoted":
            return self.step()
        if self.kind != "word":
            raise self.error("a value")
        found = _NUMBER.fullmatch(self.next)
        if found is None:
            return self.step()
        number = int(self.next) if found[1].isdigit() and not found[2] else float(self.next)
        if not abs(number) < LARGEST:
            raise self.error("a number of at most 38 digits; quotes make it a text")
        self.step()
        return number


def _leaves(tree: Comparison | Both) -> Iterator[Comparison]:
    if isinstance(tree, Comparison):
        yield tree
        return
    for part in tree.parts:
        yield from _leaves(part)


def _stripped(column: pl.Expr) -> pl.Expr:
    """Return texts without white space around them; what is missing is the empty text."""
    return column.str.strip_chars().fill_null("")


def _compared(column: pl.Expr, kind: pl.DataType, sign: Callable[[Any, Any], Any], value: Value) -> pl.Expr:
    """Return a comparison with one value, null for what is missing, or no number beside one."""
    if isinstance(value, str):
        found: pl.Expr = sign(_stripped(column), value.strip())
        return found
    text = column.str.strip_chars() if kind == pl.String else column
    real = text.cast(pl.Float64, strict=False)
    real = sign(real.fill_nan(None), float(value))
    if not isinstance(value, int) or abs(value) < EXACT or kind.is_float():
        return real
    whole = sign(text.cast(pl.Int128, strict=False), pl.lit(str(value)).cast(pl.Int128))
    return pl.coalesce(whole, real)
