"""The results as a table on the screen, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.result import Result

COLUMNS = ("row", "what", "median", "spread", "wall", "of", "floor", "over floor", "now", "later", "reached")
NUMERIC = ("median", "spread", "wall", "floor", "over floor", "now", "later")


def lines(name: str, results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return the cells of a row's results."""
    return [
        (
            name,
            result.what + (f" ({result.note})" if result.note else ""),
            f"{_number(result.median)} {result.unit}",
            _spread(result.values),
            f"{_number(_median(result.wall))} s" if result.wall else "",
            result.basis,
            f"{_number(result.floor)} {result.unit}" if result.floor else "",
            f"{_number(result.over_floor)} x" if result.over_floor else "",
            _bound(result, result.budget.now),
            _bound(result, result.budget.later),
            verdict(result),
        )
        for result in results
    ]


def bare_line(name: str, what: str, remark: str) -> tuple[str, ...]:
    """Return the cells of a row without a figure."""
    return (name, what, remark, *[""] * (len(COLUMNS) - 3))


def verdict(result: Result) -> str:
    """Return which of the budgets are reached."""
    budget = result.budget
    found = [(name, budget.reached(result.median, getattr(budget, name))) for name in ("now", "later")]
    return ", ".join(f"{name}: {'yes' if ok else 'NO'}" for name, ok in found if ok is not None)


def print_table(title: str, cells: Sequence[tuple[str, ...]]) -> None:
    """Print a table to stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMERIC else "left", overflow="fold")
    for row in cells:
        table.add_row(*row, style="red" if "now: NO" in row[-1] else None)
    console = Console()
    if not console.is_terminal:
        console = Console(width=190)
    console.print(table)


def write(out: Path, document: Mapping[str, Any], title: str, cells: Sequence[tuple[str, ...]]) -> None:
    """Write `out` as JSON and, beside it, the same as Markdown."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = [f"# {title}", ""]
    text += [f"- {name}: {value}" for name, value in document["about"].items()]
    text += ["", "| " + " | ".join(COLUMNS) + " |", "|" + "|".join("---" for _ in COLUMNS) + "|"]
    text += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    out.with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")


def _bound(result: Result, bound: float | None) -> str:
    if bound is None:
        return ""
    return f"{'>=' if result.budget.at_least else '<='} {_number(bound)}"


def _spread(values: Sequence[float]) -> str:
    return f"{_number(min(values))} to {_number(max(values))}" if len(values) > 1 else ""


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
