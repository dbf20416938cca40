"""Gains within slices of the users, one panel per backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from mltfr.evaluation.crossed import compare_seeds
from mltfr.report.comparisons import measured, pairs
from mltfr.report.frames import ROW_KEY, TABLE_KEY
from mltfr.report.names import TableKey
from mltfr.report.plots.dots import Gain, draw_vertical, limit
from mltfr.report.plots.study_frames import StudyFrames, distinct
from mltfr.report.plots.style import legend, panels
from mltfr.report.table import metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MINIMUM = 30
"""Users that a slice must have to be shown."""
CROWD = 6
"""Series that share a panel; more of them are spread over panels of their own, or of their table set."""

RowKey = tuple[str, str, str]


def draw_slices(
    study: StudyFrames, column: str, order: Sequence[str], what: str, stem: str, axis: str
) -> dict[str, Figure]:
    """Return a figure per data set with the gain in each slice of its users.

    Args:
        study: the study.
        column: column of the users' frame that holds the slice.
        order: the slices, in order.
        what: the title's end.
        stem: the files' name.
        axis: the x axis' label.
    """
    figures = {}
    for group, name in study.groups.items():
        points, counts = _points(study, group, column, order)
        if not points:
            continue
        keys = sorted(distinct([row for row, _ in points]), key=lambda row: study.labels.key(_named(row, group)))
        where = {row: _panel(row, keys) for row in keys}
        shown = [slice_ for slice_ in order if slice_ in counts]
        titles = distinct(list(where.values()))
        title = f"{name.title}: gain in {metric_name(study.metric)} over {study.compare_with} by {what}"
        figure, axes = panels(titles, title, f"{axis}; below, users")
        for panel, panel_title in zip(axes, titles, strict=True):
            rows = [row for row in keys if where[row] == panel_title]
            label = {row: study.label(_named(row, group)) if "\n" not in panel_title else row[2] for row in rows}
            mine = {(slice_, label[row]): gain for (row, slice_), gain in points.items() if row in label}
            draw_vertical(panel, shown, {label[row]: _style(study, row[2], label[row]) for row in rows}, mine)
            panel.set_xticks(range(len(shown)), [f"{slice_}\n{counts[slice_]:,}" for slice_ in shown])
        figure.supylabel("relative gain, %", fontsize=9)
        limit(axes, list(points.values()))
        if any(where[row] != f"{row[0]}\n{row[2]}" for row in keys):
            legend(figure, axes)
        figures[f"{stem}-{name.stem}"] = figure
    return figures


def _panel(row: RowKey, rows: Sequence[RowKey]) -> str:
    """Return the title of a row's panel: its backbone, and more where a backbone has too many series."""
    backbone, tables, fusion = row
    crowded = max(sum(other[0] == name for other in rows) for name, _, _ in rows) > CROWD
    if not crowded:
        return backbone
    if len({other[1] for other in rows if other[1]}) > 1:
        return f"{backbone}\n{tables or 'no tables'}"
    return f"{backbone}\n{fusion}" if len({other[0] for other in rows}) == 1 else backbone


def _style(study: StudyFrames, fusion: str, label: str) -> int:
    """Return the index of a series' style; a fusion that stands without its table set has that of its first set."""
    alike = (index for name, index in study.styles.items() if name.split(", ")[0] == fusion)
    return study.styles.get(label, next(alike, 0))


def _points(
    study: StudyFrames, group: TableKey, column: str, order: Sequence[str]
) -> tuple[dict[tuple[RowKey, str], Gain], dict[str, int]]:
    data, fingerprint, protocol = group
    users = study.users.filter(
        pl.col("data") == data, pl.col("data_fingerprint") == fingerprint, pl.col("protocol") == protocol,
        pl.col("fusion") != "",
    )  # fmt: skip
    points: dict[tuple[RowKey, str], Gain] = {}
    counts: dict[str, int] = {}
    for slice_ in order:
        part = users.filter(pl.col(column) == slice_)
        if part["user_id"].n_unique() < MINIMUM:
            continue
        rows = measured(part, study.metric)
        for row, other in pairs(sorted(rows), study.compare_with):
            base = float(rows[other].values.mean())
            if base > 0:
                test = compare_seeds(rows[row].values, rows[other].values, draws=1)
                half = test.critical * test.standard_error
                value, half = 100 * test.difference / base, 100 * half / base
                points[row, slice_] = Gain(value, value - half, value + half)
                counts[slice_] = len(rows[row].users)
    return points, counts


def _named(row: RowKey, group: TableKey) -> dict[str, str]:
    return dict(zip((*ROW_KEY, *TABLE_KEY), (*row, *group), strict=True))
