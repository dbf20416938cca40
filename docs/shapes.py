"""Shapes that the pictures share: a box with two lines of text, and the file around what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from colours import style
from layout import BOX, WIDTH

HIGH = 40.0
"""Height of a box."""
FLOORS = {"cli": "Product", "training": "Use", "model": "Method", "tokens": "Data", "config": "Ground"}
"""The first room of every floor, in the order of the import rules."""


def box(x: float, y: float, name: str, note: str, floor: str, width: float = BOX) -> str:
    """Return a box around (x, y); one without a floor is a file."""
    kind = f'class="box {floor}"' if floor else 'class="file"'
    return (
        f'<rect {kind} x="{x - width / 2:.1f}" y="{y - HIGH / 2:.1f}" width="{width:.1f}" height="{HIGH:.1f}" rx="7"/>'
        f'<text class="name" x="{x:.1f}" y="{y - 3:.1f}">{escape(name)}</text>'
        f'<text class="note" x="{x:.1f}" y="{y + 13:.1f}">{escape(note)}</text>'
    )


def svg(drawn: Sequence[str], height: float, label: str, width: float = WIDTH) -> str:
    """Return what is drawn as an SVG file."""
    markers = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="{size}" markerHeight="{size}" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0 L8 4 L0 8 z"/></marker>'
        for name, size in (("head", 7), ("end", 9))
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{label}">',
        f"<style>{style(FLOORS.values())}</style>",
        f"<defs>{markers}</defs>",
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
        *drawn,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
