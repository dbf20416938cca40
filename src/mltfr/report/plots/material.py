"""What all plots are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from mltfr.report.frames import GROUP, ROW, Labels
from mltfr.report.names import Group, GroupName, group_names, row_label


@dataclass(frozen=True)
class Material:
    """A study's frames, and how its things are ordered and named.

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
    def groups(self) -> Mapping[Group, GroupName]:
        """The data sets, fingerprints and protocols, in order, with their names."""
        rows = sorted(self.results.unique(GROUP).iter_rows(named=True), key=self.labels.key)
        return group_names([(row["data"], row["data_fingerprint"], row["protocol"]) for row in rows])

    @cached_property
    def table_sets(self) -> int:
        """How many sets of token tables there are."""
        return self.results.filter(pl.col("tables") != "")["tables"].n_unique()

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each fusion's colour and marker: the same in all plots."""
        rows = sorted(self.results.unique([*GROUP, *ROW]).iter_rows(named=True), key=self.labels.key)
        fusions = distinct([self.label(row) for row in rows if row["fusion"] not in ("", self.compare_with)])
        bare = distinct([self.label(row) for row in rows if row["fusion"] == self.compare_with])
        return {name: place for place, name in enumerate([*fusions, *bare])}

    def of(self, frame: pl.DataFrame, group: Group) -> list[dict[str, Any]]:
        """Return a frame's rows of one group, in order."""
        mine = frame.filter(*(pl.col(column) == value for column, value in zip(GROUP, group, strict=True)))
        return sorted(mine.iter_rows(named=True), key=self.labels.key)

    def label(self, row: Mapping[str, Any]) -> str:
        """Return what a row's fusion is called."""
        return row_label(row["fusion"], row["tables"], self.table_sets)


def distinct(values: Sequence[Any]) -> list[Any]:
    """Return the different values in the order of their first."""
    return list(dict.fromkeys(values))
