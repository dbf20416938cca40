"""Curves over epochs: the mean over seeds with the range between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltfr.report.plots.style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curve(axes: Axes, rows: Sequence[Mapping[str, Any]], label: str, index: int, band: bool = True) -> None:
    """Draw one series: the last round as a line, earlier rounds dashed.

    Where seeds stopped at different epochs, the curve ends with the epoch that half of them reached: beyond it
    the mean would be that of a few.
    """
    rounds = sorted({row["round"] for row in rows})
    colour = style(index)["color"]
    for number in rounds:
        last = number == rounds[-1]
        mine = [row for row in rows if row["round"] == number]
        seeds = len({row["seed"] for row in mine})
        by_epoch: dict[int, list[float]] = {}
        for row in mine:
            by_epoch.setdefault(row["epoch"], []).append(row["value"])
        kept = {epoch: values for epoch, values in sorted(by_epoch.items()) if 2 * len(values) >= seeds}
        means = [sum(values) / len(values) for values in kept.values()]
        look = {"linestyle": "-" if last else "--", "linewidth": 1.4 if last else 1.0, "color": colour}
        marker = style(index)["marker"] if last else None
        axes.plot(list(kept), means, **look, marker=marker, markersize=3.5, markevery=max(1, len(kept) // 6),
                  label=label if last else None)  # fmt: skip
        if band and last and seeds > 1:
            axes.fill_between(list(kept), [min(v) for v in kept.values()], [max(v) for v in kept.values()],
                              color=colour, alpha=0.15, linewidth=0)  # fmt: skip
