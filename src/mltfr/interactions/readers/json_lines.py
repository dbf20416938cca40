"""What lines of JSON objects hold, the same whether a line is read fast or exactly.

A line that holds nothing but texts, numbers and lists of them under known keys is proven to do so by a regular
expression, and its values are cut out by another. All other lines are read by Python's parser.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from mltfr.interactions.ids import kind_of
from mltfr.storage.parse import parse_json

_SAMPLE = 100
_MOST_KEYS = 500
_LONGEST_KEYS = 1 << 14  # bytes of all keys together: regular expressions have a limit of their own
_TEXT = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9abcefABCEF][0-9a-fA-F]{3}))*"'  # without surrogates
_WHOLE = r"-?(?:0|[1-9][0-9]{0,37})"  # of digits as many as an id may have
_VALUE = rf"(?:{_TEXT}|{_WHOLE}(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity)"
_SPACE = r"[ \t\r]*"
_LIST = rf"\[{_SPACE}(?:{_VALUE}{_SPACE}(?:,{_SPACE}{_VALUE}{_SPACE})*)?\]"
_KINDS = {'"': "string", "n": None, "N": None, "t": "boolean", "f": "boolean", "[": "list"}


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class Repeated(dict[str, Any]):
    """An object that is written with some keys, `again`, more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.again = {key for key, count in Counter(key for key, _ in pairs).items() if count > 1}


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
        several = self.lines.str.count_matches(f'"{key}"', literal=True) > 1  # it may be a value
        others = several.scatter(self.exact, False).arg_true()
        objects = chain(self.objects, map(_object, self.lines.gather(others)))
        found = zip(chain(self.exact, others), objects, strict=True)
        again = [place for place, values in found if isinstance(values, Repeated) and key in values.again]
        return pl.repeat(False, len(self.lines), eager=True).scatter(again, True)

    def values(self, key: str) -> tuple[pl.Series, pl.Series]:
        """Return the value of a key in every line: texts, null where it is missing or null, and their kinds.

        Numbers are as they are written, but for a fraction of zeros: 1.0 is 1.
        """
        name = re.escape(key) if _size([key]) <= _LONGEST_KEYS else ""  # longer ones stand in exact lines alone
        raw = self.lines.str.extract(rf'"{name}"{_SPACE}:{_SPACE}({_LIST}|{_VALUE})')
        first = raw.str.slice(0, 1)
        kinds = first.replace_strict(_KINDS, default="number", return_dtype=pl.String).set(first.is_null(), None)
        escaped = raw.str.contains("\\", literal=True).fill_null(False).arg_true()
        texts = raw.str.strip_prefix('"').str.strip_suffix('"') if (kinds == "string").any() else raw
        texts = texts.scatter(escaped, [parse_json(text) if text[0] == '"' else text for text in raw.gather(escaped)])
        found = [(values or {}).get(key) for values in self.objects]
        kinds = kinds.scatter(self.exact, ["number" if isinstance(v, Number) else kind_of(v) for v in found])
        texts = texts.scatter(self.exact, [None if value is None else _text(value) for value in found])
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
        new = dict.fromkeys(key for found in sample for key in found or {} if key not in names)
        if not new or len(names) + len(new) > _MOST_KEYS or _size(names | new) > _LONGEST_KEYS:
            break
        names |= new
        left = left.filter(~lines.gather(left).str.contains(_plain(names)))
    objects = [_object(line) for line in lines.gather(left)]
    names |= dict.fromkeys(key for found in objects for key in found or {})
    return JsonLines(lines, left, objects, list(names))


def _plain(names: dict[str, None]) -> str:
    """Return the regular expression of the objects that hold texts, numbers and lists of them under these keys."""
    keys = "|".join(re.escape(name) for name in names if not re.search(r'["\\\x00-\x1f]', name))
    pair = rf'"(?:{keys})"{_SPACE}:{_SPACE}(?:{_VALUE}|{_LIST}){_SPACE}'
    return rf"^\{{{_SPACE}(?:{pair}(?:,{_SPACE}{pair})*)?\}}$"


def _size(names: Iterable[str]) -> int:
    return sum(len(name.encode()) for name in names)


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = parse_json(line, Number, _keys_once)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)


def _text(value: Any) -> str:
    """Return a value as a text; lists and objects as JSON, as they stand in a line."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
