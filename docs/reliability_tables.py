"""The tables of docs/reliability.md, from the measured results in `benchmarks/results`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from settings_tables import table

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def soak() -> str:
    """Return what the soak tried and found, and where."""
    document = json.loads((RESULTS / "soak.json").read_text("utf-8"))
    about, rows = document["about"], document["rows"]
    cells = [[row["section"], row["kind"], f"{row['tried']:,}", _ended(row), str(len(row["wrong"]))] for row in rows]
    tried, wrong = sum(row["tried"] for row in rows), sum(len(row["wrong"]) for row in rows)
    where = f"{about['processor']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}, " \
            f"Python {about['python']}, torch {about['torch']}"  # fmt: skip
    head = f"{tried:,} cases, {wrong} of them wrong. Seed {about['seed']}, scale {about['scale']:g}; {where}."
    return f"{head}\n\n{table(('section', 'kind', 'tried', 'ended', 'wrong'), cells)}"


def inputs() -> str:
    """Return what came of known inputs, and what comes of them now."""
    found = json.loads((RESULTS / "inputs.json").read_text("utf-8"))
    rows = [[name, entry["right"], _short(entry["before"]), _short(entry["now"])] for name, entry in found.items()]
    return table(("input", "right", "before", "now"), rows)


def _ended(row: dict[str, Any]) -> str:
    return ", ".join(f"{what} {number:,}" for what, number in row["outcomes"].items())


def _short(text: str) -> str:
    """Return an answer without the middle of a long refusal, and without marks that Markdown would read."""
    text = text.replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
    return text if len(text) <= 170 else f"{text[:165].rsplit(' ', 1)[0]} ..."
