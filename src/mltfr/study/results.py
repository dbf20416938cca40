"""From finished cells to the study's two tables of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mltfr.storage.files import atomic_file
from mltfr.study.folder import CELLS
from mltfr.study.plan import Cell
from mltfr.study.task import CELL, USERS, read_json

RESULTS = "results.parquet"
METRICS = [f"{name}@{k}" for name in ("hr", "ndcg", "mrr") for k in (5, 10, 20)]
PARTS = {"test": "metrics", "validation": "validation", "zero_branch": "zero_branch"}
"""Parts of the results, and their names in `cell.json`."""
SCHEMA = {
    "cell": pl.String,
    "data": pl.String,
    "data_fingerprint": pl.String,
    "protocol": pl.String,
    "backbone": pl.String,
    "fusion": pl.String,
    "tables": pl.String,
    "seed": pl.Int64,
    "parameters": pl.Int64,
    "best_epoch": pl.Int64,
    "epochs": pl.Int64,
    "seconds": pl.Float64,
    "part": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
}


def gather(folder: Path, cells: Sequence[Cell]) -> int:
    """Write `results.parquet` and `users.parquet` from the cells that are finished, in the order of the plan.

    Args:
        folder: the study folder.
        cells: the cells of the study; others that lie there are left out.

    Returns:
        The number of cells that were gathered.
    """
    rows: list[dict[str, Any]] = []
    users: list[pl.DataFrame] = []
    for cell in cells:
        place = folder / CELLS / cell.name
        if not (place / CELL).exists():
            continue
        document = read_json(place / CELL)
        labels = {**document, "protocol": document["protocol_hash"]}
        common = {name: labels[name] for name in SCHEMA if name in labels}
        rows += [
            {**common, "part": part, "metric": metric, "value": document[key][metric]}
            for part, key in PARTS.items()
            for metric in METRICS
            if metric in document[key]
        ]
        users.append(_of_users(pl.read_parquet(place / USERS), labels))
    if users:
        with atomic_file(folder / RESULTS) as path:
            pl.DataFrame(rows, schema=SCHEMA).write_parquet(path)
        with atomic_file(folder / USERS) as path:
            pl.concat(users).write_parquet(path)
    return len(users)


def _of_users(frame: pl.DataFrame, labels: dict[str, Any]) -> pl.DataFrame:
    names = ("cell", "data", "protocol", "backbone", "fusion", "tables", "seed")
    return frame.select(*(pl.lit(labels[name], SCHEMA[name]).alias(name) for name in names), pl.all())
