"""The frames of a study that plots are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from mltfr.report.frames import ROW_KEY, TABLE_KEY, Labels
from mltfr.report.names import TableKey, TableName, groups_of, row_label


@dataclass(frozen=True)
class StudyFrames:
    """A study's results as frames, with the order and the names of its data sets and fusions.

    Attributes:
        results: as `results.parquet`.
        users: as `frames.read_users` returns it.
        comparisons: as `comparisons.parquet`.
        logs: as `frames.read_logs` returns it.
        labels: the order of data sets and rows.
        metric: the one that decides.
        compare_with: the fusion that the others are compared with.
    """

    results: pl.DataFrame
    users: pl.DataFrame
    comparisons: pl.DataFrame
    logs: pl.DataFrame
    labels: Labels
    metric: str
    compare_with: str

    @cached_property
    def groups(self) -> Mapping[TableKey, TableName]:
        """The data sets with their fingerprints and protocols, in order, and the names of their tables."""
        return groups_of(self.results, self.labels)

    @cached_property
    def table_sets(self) -> int:
        """How many sets of token tables there are."""
        return self.results.filter(pl.col("tables") != "")["tables"].n_unique()

    @cached_property
    def styles(self) -> Mapping[str, int]:
        """The index of each fusion's colour and marker: the same in all plots."""
        rows = sorted(self.results.unique([*TABLE_KEY, *ROW_KEY]).iter_rows(named=True), key=self.labels.key)
        fusions = distinct([self.label(row) for row in rows if row["fusion"] not in ("", self.compare_with)])
        bare = distinct([self.label(row) for row in rows if row["fusion"] == self.compare_with])
        return {name: index for index, name in enumerate([*fusions, *bare])}

    def of(self, frame: pl.DataFrame, group: TableKey) -> list[dict[str, Any]]:
        """Return a frame's rows of one group, in order."""
        mine = frame.filter(*(pl.col(column) == value for column, value in zip(TABLE_KEY, group, strict=True)))
        return sorted(mine.iter_rows(named=True), key=self.labels.key)

    def label(self, row: Mapping[str, Any]) -> str:
        """Return the name of a row's fusion in a plot."""
        return row_label(row["fusion"], row["tables"], self.table_sets)


def distinct(values: Sequence[Any]) -> list[Any]:
    """Return the values without repetitions, in the order of their first occurrence."""
    return list(dict.fromkeys(values))
