"""The table of docs/numbers.md: one recommender under several protocols, from `benchmarks/results/protocols.json`."""

from __future__ import annotations

import json
from pathlib import Path

from settings_tables import table

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "protocols.json"
ROWS = {
    "full": "**as here**: all items, seen ones removed, ties halved, unknown targets are misses",
    "known": "unknown targets left out of the mean",
    "older": "the input ends before the validation item",
    "seen": "seen items are candidates",
    "best": "a tie counts as won",
    "popular": "{negatives} items drawn by popularity, and the target",
    "uniform": "{negatives} items drawn alike, and the target",
}
"""What every protocol of the benchmark is."""


def protocols() -> str:
    """Return the scores of every run under every protocol."""
    found = json.loads(RESULTS.read_text("utf-8"))
    runs, about = found["ndcg@10"], found["about"]
    rows = [[text.format(**about), *(f"{run[name]:.4f}".removeprefix("0") for run in runs.values())]
            for name, text in ROWS.items()]  # fmt: skip
    return table(("test NDCG@10 on Amazon Beauty, 5-core", *(f"`{name}`" for name in runs)), rows)
