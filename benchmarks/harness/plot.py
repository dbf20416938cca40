"""Draws how time and memory grow, on logarithmic axes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from harness.result import Result

Line = list[tuple[float, float]]
COLUMNS, COLOURS = 3, 48


def draw_growth(rows: Mapping[str, Mapping[str, Any]], out: Path) -> bool:
    """Draw every axis that has been measured at two places or more, and return whether there was any.

    Args:
        rows: the answers of all rows, by name.
        out: PNG to write.

    Raises:
        ModuleNotFoundError: there is something to draw, and matplotlib is missing.
    """
    panels = {panel: lines for panel, lines in _panels(rows).items() if any(len(line) > 1 for line in lines.values())}
    if not panels:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator
    from PIL import Image  # matplotlib needs it

    height = -(-len(panels) // COLUMNS)
    width = min(COLUMNS, len(panels))
    figure, grid = pyplot.subplots(
        height, width, figsize=(4.4 * width, 3.4 * height), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, ((what, unit), lines) in zip(grid.flat, panels.items(), strict=False):
        for name, line in lines.items():
            axes.plot(*zip(*sorted(line), strict=True), marker="o", markersize=4, label=name)
        axes.set(xscale="log", yscale="log", xlabel=what, ylabel=unit)
        ticks = sorted({at for line in lines.values() for at, _ in line})
        axes.set_xticks(ticks, [_short(at) for at in ticks])
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: _short(value))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    image = BytesIO()
    figure.savefig(image, dpi=90)
    pyplot.close(figure)
    # few colours are in it, so a palette makes the file a third as large
    Image.open(image).convert("RGB").quantize(COLOURS).save(out, optimize=True)
    return True


def _panels(rows: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Line]]:
    """Return the points of every line, by axis and unit, and by name."""
    panels: dict[tuple[str, str], dict[str, Line]] = defaultdict(lambda: defaultdict(list))
    for row in rows.values():
        for answer in row.get("points", [row]):
            for document in answer.get("results", []):
                result = Result.from_json(document)
                if result.series and result.at is not None:
                    what, _, name = result.series.partition(" / ")
                    panels[what, result.unit][name].append((result.at, result.median))
    return panels


def _short(number: float) -> str:
    for size, letter in ((1_000_000, " M"), (1000, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:g}"
