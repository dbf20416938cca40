"""How the validation metric went up, by fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from matplotlib.ticker import MaxNLocator

from mltfr.report.plots.curves import curve
from mltfr.report.plots.study_frames import StudyFrames, distinct
from mltfr.report.plots.style import legend, panels
from mltfr.report.table import metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(study: StudyFrames) -> dict[str, Figure]:
    """Return a figure per data set: a panel per backbone, a curve per fusion with the range over its seeds."""
    figures = {}
    scores = study.logs.filter(pl.col("kind") == "validation")
    logged = scores["name"].unique().sort().to_list()
    if not logged:
        return {}
    metric = study.metric if study.metric in logged else logged[0]
    for group, name in study.groups.items():
        rows = study.of(scores.filter(pl.col("name") == metric), group)
        if not rows:
            continue
        backbones, series = distinct([row["backbone"] for row in rows]), distinct([study.label(r) for r in rows])
        rounds = any(row["round"] > 1 for row in rows)
        figure, axes = panels(backbones, f"{name.title}: validation {metric_name(metric)}"
                              + (" (dashed: first round)" if rounds else ""), "epoch")  # fmt: skip
        for panel, backbone in zip(axes, backbones, strict=True):
            for label in series:
                mine = [row for row in rows if (row["backbone"], study.label(row)) == (backbone, label)]
                if mine:
                    curve(panel, mine, label, study.styles[label], band=len(series) <= 8)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(figure, axes)
        figures[f"training-curves-{name.stem}"] = figure
    return figures
