"""JSON Lines: one object a line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from mltfr.interactions.columns import Columns
from mltfr.interactions.ids import kind_of
from mltfr.interactions.raw import ITEM, TIME, USER, RawTable
from mltfr.interactions.readers.mixed import KIND, reject_mixed
from mltfr.interactions.readers.text import read_lines
from mltfr.storage.parse import parse_json

OBJECT = 'Every line must hold one JSON object, as {"user_id": "u1", "item_id": "i1"}.'
_SAMPLE = 100
_KINDS = {'"': "string", "n": None, "t": "boolean", "f": "boolean", "{": "dict", "[": "list"}


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read JSON Lines; ids may be strings or numbers, but not both in one column.

    Raises:
        DataError: a line is not a JSON object, ids have mixed types, or a column is missing.
    """
    lines = pl.DataFrame({"line": read_lines(path)}).with_row_index("number", offset=1).drop_nulls()
    numbers = lines["number"]
    table = RawTable(str(path), lines.select("line"), lambda row: f"line {numbers[row]}")
    names = list(dict.fromkeys(key for line in lines["line"].head(_SAMPLE) for key in _object(line) or {}))
    if not names:
        return _reject_broken(table, skip_invalid)
    found = columns.resolve(names, str(path))
    keys = {role: key for role, key in zip((USER, ITEM, TIME), found, strict=True) if key}
    shape = pl.Struct(dict.fromkeys(keys.values(), pl.String))
    try:
        decoded = lines["line"].str.json_decode(shape).struct.unnest()
    except pl.exceptions.PolarsError:  # some line is broken, or holds a list where a value should be
        table = _reject_broken(table, skip_invalid)
        decoded = _decode_exactly(table.frame["line"], list(keys.values()))
    frame = decoded.rename({key: role for role, key in keys.items()})
    kinds = [_kinds(table.frame["line"], keys[role]).alias(role + KIND) for role in (USER, ITEM)]
    table = replace(table, frame=frame.with_columns(kinds))
    for role in (USER, ITEM):
        table = reject_mixed(table, role, skip_invalid)
    return table


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = parse_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _reject_broken(table: RawTable, skip_invalid: bool) -> RawTable:
    lines = table.frame["line"]
    broken = pl.Series([_object(line) is None for line in lines], dtype=pl.Boolean)
    return table.reject(broken, lambda row: f"found {lines[row][:40]!r}", OBJECT, skip_invalid)


def _decode_exactly(lines: pl.Series, keys: list[str]) -> pl.DataFrame:
    objects = [_object(line) or {} for line in lines]
    columns = {key: [None if o.get(key) is None else str(o[key]) for o in objects] for key in keys}
    return pl.DataFrame(columns, schema=dict.fromkeys(keys, pl.String))


def _kinds(lines: pl.Series, key: str) -> pl.Series:
    """Return the JSON type of a key's value in every line.

    The first character behind the key tells; where that is not the same in all lines, the odd ones out are
    parsed, because the key may stand in a nested object as well.
    """
    first = lines.str.extract(rf'"{re.escape(key)}"\s*:\s*(.)')
    kinds = first.replace_strict(_KINDS, default="number", return_dtype=pl.String)
    kinds = kinds.set(first.is_null(), None)
    counts = kinds.drop_nulls().value_counts(sort=True)
    if len(counts) > 1:
        odd = (kinds != counts[0, 0]).fill_null(True).arg_true()
        exact = [kind_of((_object(line) or {}).get(key)) for line in lines.gather(odd)]
        kinds = kinds.scatter(odd, exact)
    return kinds
