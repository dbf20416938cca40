"""Names of tables: the data set's label, with fingerprint or protocol where one label has several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mltfr.report.frames import TABLE_KEY, Labels

TableKey = tuple[str, str, str]
"""Label, fingerprint and protocol of the data (`frames.TABLE_KEY`)."""

_SHORT = 8


@dataclass(frozen=True)
class TableName:
    """Name of a table in titles (`title`) and in file names (`stem`)."""

    title: str
    stem: str


def table_names(groups: Sequence[TableKey]) -> dict[TableKey, TableName]:
    """Return a name for each group, no two alike: with its protocol or data where the label alone is not enough."""
    names: dict[TableKey, TableName] = {}
    taken: set[str] = set()
    for group in groups:
        same = [other for other in groups if other[0] == group[0]]
        more = [(word, group[index]) for index, word in ((1, "data"), (2, "protocol"))
                if len({other[index] for other in same}) > 1]  # fmt: skip
        title = group[0] + (f" ({', '.join(f'{word} {value}' for word, value in more)})" if more else "")
        stem = base = slug("-".join([group[0], *(value[:_SHORT] for _, value in more)]))
        while stem in taken:
            stem = f"{base}-{sum(other.startswith(base) for other in taken) + 1}"
        taken.add(stem)
        names[group] = TableName(title, stem)
    return names


def groups_of(results: pl.DataFrame, labels: Labels) -> dict[TableKey, TableName]:
    """Return the data sets of results with their fingerprints and protocols, in order, and their names."""
    rows = sorted(results.unique(TABLE_KEY).iter_rows(named=True), key=labels.key)
    return table_names([(row["data"], row["data_fingerprint"], row["protocol"]) for row in rows])


def slug(text: str) -> str:
    """Return a text as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "data"


def row_label(fusion: str, tables: str, table_sets: int) -> str:
    """Return the name of a fusion in a plot: with its table set where the study has several."""
    return f"{fusion}, {tables}" if tables and table_sets > 1 else fusion
