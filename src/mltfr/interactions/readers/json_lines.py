"""What lines of JSON objects hold, the same whether a line is read fast or exactly.

A line that holds nothing but texts, numbers and lists of them under known keys is proven to do so by a regular
expression, and its values are cut out by another. All other lines are read by Python's parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from mltfr.interactions.ids import kind_of
from mltfr.storage.parse import parse_json

_SAMPLE = 100
_MOST_KEYS = 500
_TEXT = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9abcefABCEF][0-9a-fA-F]{3}))*"'  # without surrogates
_WHOLE = r"-?(?:0|[1-9][0-9]{0,40})"
_VALUE = rf"(?:{_TEXT}|{_WHOLE}(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity)"
_SPACE = r"[ \t\r]*"
_LIST = rf"\[{_SPACE}(?:{_VALUE}{_SPACE}(?:,{_SPACE}{_VALUE}{_SPACE})*)?\]"
_KINDS = {'"': "string", "n": None, "N": None, "t": "boolean", "f": "boolean", "[": "list"}


class Number(str):
    """A number as it is written."""

    __slots__ = ()


@dataclass(frozen=True)
class JsonLines:
    """Lines of JSON.

    Attributes:
        lines: the lines, none of them blank.
        exact: places of the lines that Python's parser reads, ascending.
        objects: what these hold; None for what is no JSON object.
        names: keys of all objects, in order of first appearance.
    """

    lines: pl.Series
    exact: pl.Series
    objects: list[dict[str, Any] | None]
    names: list[str]

    @property
    def broken(self) -> pl.Series:
        """Say of every line whether it is no JSON object."""
        bad = [place for place, found in zip(self.exact, self.objects, strict=True) if found is None]
        return pl.repeat(False, len(self.lines), eager=True).scatter(bad, True)

    def repeats(self, key: str) -> pl.Series:
        """Say of every line whether its object has a key more than once."""
        several = self.lines.str.count_matches(f'"{key}"', literal=True) > 1  # it may be a value, or a key within
        again = [place for place in several.arg_true().to_list() if _repeats(self.lines[place], key)]
        return pl.repeat(False, len(self.lines), eager=True).scatter(again, True)

    def values(self, key: str) -> tuple[pl.Series, pl.Series]:
        """Return the value of a key in every line: texts, null where it is missing or null, and their kinds.

        Numbers are as they are written, but for a fraction of zeros: 1.0 is 1.
        """
        raw = self.lines.str.extract(rf'"{re.escape(key)}"{_SPACE}:{_SPACE}({_LIST}|{_VALUE})')
        first = raw.str.slice(0, 1)
        kinds = first.replace_strict(_KINDS, default="number", return_dtype=pl.String).set(first.is_null(), None)
        escaped = raw.str.contains("\\", literal=True).fill_null(False).arg_true()
        texts = raw.str.strip_prefix('"').str.strip_suffix('"') if (kinds == "string").any() else raw
        texts = texts.scatter(escaped, [parse_json(text) if text[0] == '"' else text for text in raw.gather(escaped)])
        found = [(values or {}).get(key) for values in self.objects]
        kinds = kinds.scatter(self.exact, ["number" if isinstance(v, Number) else kind_of(v) for v in found])
        texts = texts.scatter(self.exact, [None if value is None else str(value) for value in found])
        texts = texts.set(kinds.is_null(), None)
        zeros = ((kinds == "number") & texts.str.contains(".", literal=True)).fill_null(False).arg_true()
        whole = texts.gather(zeros).str.replace(r"^(-?[1-9]\d{0,14}|0)\.0+$", "$1")  # longer floats are not exact
        return texts.scatter(zeros, whole), kinds


def look_at(lines: pl.Series) -> JsonLines:
    """Read what lines hold; see `JsonLines`."""
    lines = lines.str.strip_chars("\ufeff \t\r\n")
    names: dict[str, None] = {}
    left = pl.arange(len(lines), eager=True)
    while len(left):
        sample = [_object(line) for line in lines.gather(left.head(_SAMPLE))]
        new = [key for found in sample for key in found or {} if key not in names]
        if not new or len(names) + len(new) > _MOST_KEYS:
            break
        names |= dict.fromkeys(new)
        left = left.filter(~lines.gather(left).str.contains(_plain(names)))
    objects = [_object(line) for line in lines.gather(left)]
    names |= dict.fromkeys(key for found in objects for key in found or {})
    return JsonLines(lines, left, objects, list(names))


def _plain(names: dict[str, None]) -> str:
    """Return the regular expression of the objects that hold texts, numbers and lists of them under these keys."""
    keys = "|".join(re.escape(name) for name in names if not re.search(r'["\\\x00-\x1f]', name))
    pair = rf'"(?:{keys})"{_SPACE}:{_SPACE}(?:{_VALUE}|{_LIST}){_SPACE}'
    return rf"^\{{{_SPACE}(?:{pair}(?:,{_SPACE}{pair})*)?\}}$"


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = parse_json(line, Number)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _repeats(line: str, key: str) -> bool:
    """Say whether the object of a line has a key more than once."""
    try:
        pairs = parse_json(line, object_pairs_hook=list)
    except ValueError:
        return False
    return sum(isinstance(pair, tuple) and pair[0] == key for pair in pairs) > 1
