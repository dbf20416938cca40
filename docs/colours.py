"""The colours of the pictures that `draw.py` makes, for a light page and for a dark one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

COLOURS = {
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#656d76", "#9198a1"),
    "line": ("#9aa4af", "#6e7781"),
    "paper": ("#ffffff", "#0d1117"),
    "band": ("#f6f8fa", "#161b22"),
    "Product": ("#8250df", "#a98ef0"),
    "Use": ("#0969da", "#58a6ff"),
    "Method": ("#bf5b04", "#f0883e"),
    "Data": ("#1a7f37", "#3fb950"),
    "Ground": ("#57606a", "#8b949e"),
}
"""Light, dark."""


def style(floors: Iterable[str]) -> str:
    """Return the style sheet of the pictures; every floor has the colour of its name.

    Colours are plain rules: viewers other than browsers do not know CSS variables and paint everything black.
    """
    names = list(floors)
    light, dark = (rules({name: both[scheme] for name, both in COLOURS.items()}, names) for scheme in (0, 1))
    return f"""
  svg {{ font-family: -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }}
  .name {{ font-size: 13px; font-weight: 600; text-anchor: middle; }}
  .note {{ font-size: 10.5px; text-anchor: middle; }}
  .title {{ font-size: 16px; font-weight: 600; }}
  .heading {{ font-size: 13px; font-weight: 600; text-anchor: middle; }}
  .side {{ font-size: 12px; }}
  .floor {{ font-size: 14px; font-weight: 600; }}
  .box {{ stroke-width: 1.6; }}
  .file {{ stroke-dasharray: 4 3; }}
  .edge {{ fill: none; stroke-width: 1.3; }}
  .way {{ fill: none; stroke-width: 2; }}
  {light}
  @media (prefers-color-scheme: dark) {{
    {dark}
  }}
"""


def rules(colour: Mapping[str, str], floors: Collection[str]) -> str:
    """Return the rules that paint in one scheme."""
    lines = [
        f".paper, .box {{ fill: {colour['paper']}; }} .band, .file {{ fill: {colour['band']}; }}",
        f".name, .title, .side {{ fill: {colour['ink']}; }} .note, .end, .heading {{ fill: {colour['soft']}; }}",
        f".row {{ fill: {colour['line']}; opacity: .45; }} .kept {{ fill: {colour['Data']}; }}",
        f".head {{ fill: {colour['line']}; }} .file, .edge {{ stroke: {colour['line']}; }}",
        f".way {{ stroke: {colour['soft']}; }}",
        *(f".box.{name} {{ stroke: {colour[name]}; }}" for name in floors),
        *(f".floor.{name}, .bar.{name} {{ fill: {colour[name]}; }}" for name in floors),
    ]
    return "\n  ".join(lines)
