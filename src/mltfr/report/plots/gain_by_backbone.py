"""How much each fusion gains on each backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mltfr.evaluation.bootstrap import is_real
from mltfr.report.plots.dots import Gain, draw_horizontal
from mltfr.report.plots.study_frames import StudyFrames, distinct
from mltfr.report.plots.style import legend, panels
from mltfr.report.table import metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(study: StudyFrames) -> dict[str, Figure]:
    """Return a figure per data set: a dot and its interval per backbone and fusion, filled where significant."""
    figures = {}
    compared = study.comparisons.filter(pl.col("metric") == study.metric, pl.col("relative_gain").is_not_null())
    for group, name in study.groups.items():
        rows = study.of(compared, group)
        if not rows:
            continue
        backbones, fusions = distinct([row["backbone"] for row in rows]), distinct([study.label(r) for r in rows])
        alone = len(backbones) == 1
        points = {}
        for row in rows:
            value, low, high = (100 * row[key] / row["other_mean"] for key in ("difference", "low", "high"))
            key = (row["backbone"], study.label(row))
            points[key[::-1] if alone else key] = Gain(value, low, high, is_real(row["p_holm"]))
        lines = len(fusions) if alone else len(backbones) * (0.35 + 0.55 * len(fusions))
        figure, (axes,) = panels([""], f"{name.title}: gain in {metric_name(study.metric)} over "
                                 f"{study.compare_with}" + (f", {backbones[0]}" if alone else ""),
                                 "relative gain, %, with 95 % interval (filled: p after Holm < .05)",
                                 height=max(0.3, 0.26 * lines))  # fmt: skip
        styles = {backbones[0]: 0} if alone else {fusion: study.styles[fusion] for fusion in fusions}
        draw_horizontal(axes, fusions if alone else backbones, styles, points)
        if not alone:
            legend(figure, [axes])
        figures[f"gain-by-backbone-{name.stem}"] = figure
    return figures
