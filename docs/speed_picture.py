"""Draws how many times mltfr's time its peers take, as bars, from `benchmarks/results/peers.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shapes import svg

MEASURED = Path(__file__).parents[1] / "benchmarks" / "results" / "peers.json"
PEERS = (("replay", "RePlay", "Data"), ("rectools", "RecTools", "Use"), ("recbole", "RecBole", "Product"))
"""Name in the results, title, colour."""
MEASURES = (
    ("epoch", "ce", "an epoch, cross-entropy over all items"),
    ("epoch", "bce", "an epoch, one negative an item (BCE)"),
    ("full-ranking evaluation", "bce", "ranking every user's test item among all items"),
    ("top 20 of all users", "bce", "the 20 best items of every user"),
    ("process start to first training step", "bce", "from the start of the process to the first step"),
)
"""How a result begins, the loss of its row, the title."""
SIDE, BAR, GAP, TOP, NAMES, ROOM = 12.0, 15.0, 3.0, 24.0, 92.0, 64.0
WIDE, HIGH = 860.0, 108.0
"""Width of the picture, and height of a measure."""


def times(rows: dict[str, Any], peer: str, what: str, loss: str) -> float:
    """Return how many times mltfr's time a peer takes; RecBole was measured with BPR in the place of BCE."""
    row = f"peer-{peer}-{'bpr' if (peer, loss) == ('recbole', 'bce') else loss}"
    start = f"{peer} over mltfr: {what}"
    return next(float(each["median"]) for each in rows[row]["results"] if each["what"].startswith(start))


def speed() -> str:
    """Return the bars: every measure with mltfr, which is 1, and its peers."""
    rows = json.loads(MEASURED.read_text("utf-8"))["rows"]
    found = [[(title, times(rows, peer, what, loss), colour) for peer, title, colour in PEERS]
             for what, loss, _ in MEASURES]  # fmt: skip
    scale = (WIDE - 2 * SIDE - NAMES - ROOM) / max(value for group in found for _, value, _ in group)
    drawn = []
    for number, ((_, _, title), group) in enumerate(zip(MEASURES, found, strict=True)):
        x = SIDE + (WIDE / 2) * (number > 0 and number % 2 == 0)  # the longest bars alone, then two measures a line
        y = 8 + HIGH * ((number + 1) // 2)
        drawn.append(f'<text class="side" font-weight="600" x="{x}" y="{y + 14}">{title}</text>')
        drawn += _bars([("mltfr", 1.0, "Method"), *group], x + NAMES, y + TOP, scale)
    height = HIGH * (1 + len(MEASURES) // 2)
    return svg(drawn, height, "Times that RePlay, RecTools and RecBole take, in times that of mltfr", WIDE)


def _bars(bars: list[tuple[str, float, str]], left: float, top: float, scale: float) -> Iterator[str]:
    for number, (name, value, colour) in enumerate(bars):
        y = top + number * (BAR + GAP)
        long = value * scale
        yield f'<text class="side" x="{left - 8}" y="{y + 12}" text-anchor="end">{name}</text>'
        yield f'<rect class="bar {colour}" x="{left}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2"/>'
        yield f'<text class="side" x="{left + long + 6:.1f}" y="{y + 12}">{f"{value:.1f}" if number else "1"}</text>'
