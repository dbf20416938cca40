"""How much a fusion gains with one token table, and with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mltfr.report.plots.dots import Gain, draw_vertical, limit
from mltfr.report.plots.study_frames import StudyFrames, distinct
from mltfr.report.plots.style import legend, panels, shortened
from mltfr.report.table import metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROOM = 6
"""Names of table sets that fit below a panel without being turned."""


def draw(study: StudyFrames) -> dict[str, Figure]:
    """Return a figure per data set that has several sets of token tables, ordered by how many tables they hold."""
    figures = {}
    compared = study.comparisons.filter(pl.col("metric") == study.metric, pl.col("relative_gain").is_not_null())
    for group, name in study.groups.items():
        rows = [row for row in study.of(compared, group) if row["tables"]]
        sets = sorted(distinct([row["tables"] for row in rows]), key=lambda label: _count(study, label))
        if len(sets) < 2:
            continue
        backbones, fusions = distinct([row["backbone"] for row in rows]), distinct([row["fusion"] for row in rows])
        figure, axes = panels(backbones, f"{name.title}: gain in {metric_name(study.metric)} over "
                              f"{study.compare_with} by token tables",
                              "token tables (how many)")  # fmt: skip
        shown: list[Gain] = []
        for panel, backbone in zip(axes, backbones, strict=True):
            points = {}
            for row in rows:
                if row["backbone"] == backbone:
                    value, low, high = (100 * row[key] / row["other_mean"] for key in ("difference", "low", "high"))
                    points[row["tables"], row["fusion"]] = Gain(value, low, high)
            draw_vertical(panel, sets, {fusion: n for n, fusion in enumerate(fusions)}, points, line=False)
            ticks = [f"{shortened(label, 24)} ({_count(study, label) or '?'})" for label in sets]
            turned = max(map(len, ticks)) * len(ticks) * min(3, len(backbones)) > 20 * _ROOM
            panel.set_xticks(range(len(sets)), ticks, rotation=40 if turned else 0, ha="right" if turned else "center",
                             rotation_mode="anchor" if turned else "default")  # fmt: skip
            shown += points.values()
        figure.supylabel("relative gain, %", fontsize=9)
        limit(axes, shown)
        legend(figure, axes)
        figures[f"gain-by-tables-{name.stem}"] = figure
    return figures


def _count(study: StudyFrames, label: str) -> int:
    return len(study.labels.tables.get(label, ()))
