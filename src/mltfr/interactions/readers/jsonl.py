"""JSON Lines: one object a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from mltfr.interactions.columns import Columns, is_id, taken
from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers.json_lines import look_at
from mltfr.interactions.readers.mixed import KIND, reject_mixed
from mltfr.interactions.readers.preamble import rows_of_text

OBJECT = 'Every line must hold one JSON object, as {"user_id": "u1", "item_id": "i1"}.'
_ONCE = "A key must stand once in an object."
_AGAIN = "_again"


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read JSON Lines; ids may be strings or numbers, but not both in one column.

    The keys of all lines are the columns; a line may lack some.

    Raises:
        DataError: a line is not a JSON object or repeats a key, ids have mixed types, or a column is missing.
    """
    table = rows_of_text(path)
    texts = table.frame["line"]
    lines = look_at(texts)
    broken = lines.broken
    if not lines.names:
        table = table.reject(broken, lambda row: f"found {texts[row][:40]!r}", OBJECT, skip_invalid)
    keys = columns.resolve(lines.names, str(path), lambda key: lines.values(key)[0].drop_nulls())
    parts: list[pl.Series] = []
    for role, key in keys.items():
        values, kinds = lines.values(key)
        if not is_id(role):  # truth values as JSON writes them
            values = values.zip_with((kinds != "boolean").fill_null(True), values.str.to_lowercase())
        parts += [values.alias(role), lines.repeats(key).alias(role + _AGAIN)]
        parts += [kinds.alias(role + KIND)] if is_id(role) else []
    table = replace(table, frame=pl.DataFrame(parts), columns=taken(keys, lines.names))
    table = table.reject(broken, lambda row: f"found {texts[row][:40]!r}", OBJECT, skip_invalid)
    for role, key in keys.items():
        told = f"the key '{key}' stands there twice"
        table = table.reject(table.frame[role + _AGAIN], lambda _, told=told: told, _ONCE, skip_invalid)  # type: ignore[misc]
    table = replace(table, frame=table.frame.drop(role + _AGAIN for role in keys))
    for role in filter(is_id, keys):
        table = reject_mixed(table, role, skip_invalid)
    return table
