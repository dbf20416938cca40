"""Which token tables the router listens to, over the epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from matplotlib.ticker import MaxNLocator

from mltfr.report.plots.curves import curve
from mltfr.report.plots.study_frames import StudyFrames, distinct
from mltfr.report.plots.style import legend, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(study: StudyFrames) -> dict[str, Figure]:
    """Return a figure per data set: a panel per backbone and fusion with a router, a line per table."""
    figures = {}
    shares = study.logs.filter(pl.col("kind") == "router_share")
    for group, name in study.groups.items():
        rows = study.of(shares, group)
        if not rows:
            continue
        titles = distinct([f"{row['backbone']}\n{study.label(row)}" for row in rows])
        tables = distinct(sorted(row["name"] for row in rows))
        rounds = " (dashed: first round)" if any(row["round"] > 1 for row in rows) else ""
        figure, axes = panels(titles, f"{name.title}: the router's shares{rounds}", "epoch", height=1.8, per_line=4)
        for panel, title in zip(axes, titles, strict=True):
            mine = [row for row in rows if f"{row['backbone']}\n{study.label(row)}" == title]
            for index, table in enumerate(tables):
                if of_table := [row for row in mine if row["name"] == table]:
                    curve(panel, of_table, table, index)
            panel.set_ylim(0, 1)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.supylabel("share", fontsize=9)
        legend(figure, axes)
        figures[f"router-shares-{name.stem}"] = figure
    return figures
