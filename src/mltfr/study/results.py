"""From the run folders of finished cells to the study's two tables of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from mltfr.errors import RunError
from mltfr.interactions.borders import as_text
from mltfr.pipeline.artifact import FORMAT, LOG
from mltfr.pipeline.artifact import METRICS as SCORES
from mltfr.storage.files import atomic_file, read_json
from mltfr.storage.folder import damaged
from mltfr.study.cell import Cell
from mltfr.study.draws import real_cell
from mltfr.study.folder import StudyFolder
from mltfr.study.job import epochs_of
from mltfr.study.spec import REMEDY, read_spec
from mltfr.study.users import USERS

RESULTS, DRAWS = "results.parquet", "draws.parquet"
SCHEMA = {
    "cell": pl.String,
    "data": pl.String,
    "data_fingerprint": pl.String,
    "protocol": pl.String,
    "backbone": pl.String,
    "fusion": pl.String,
    "tables": pl.String,
    "window": pl.String,
    "test_from": pl.String,
    "test_until": pl.String,
    "seed": pl.Int64,
    "parameters": pl.Int64,
    "best_epoch": pl.Int64,
    "epochs": pl.Int64,
    "seconds": pl.Float64,
    "part": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
}
"""Columns of `results.parquet`. `window` is "" where a data set has no rolling split; `test_from` and `test_until` are
null there, and else the borders of the window's test."""
DRAW_SCHEMA = {name: SCHEMA[name] for name in ("cell", "data", "data_fingerprint", "protocol", "backbone", "fusion",
               "tables", "window", "seed")} | {"draw": pl.Int64, "real": pl.String, "metric": pl.String,
               "value": pl.Float64}  # fmt: skip
"""Columns of `draws.parquet`: test scores of the controls' further draws; `real` is the fusion with the real tables."""


class Run(NamedTuple):
    """The documents of a finished run.

    Attributes:
        metrics: the document of `metrics.json`.
        manifest: that of `manifest.json`.
        epochs: epochs trained, in all rounds.
    """

    metrics: dict[str, Any]
    manifest: dict[str, Any]
    epochs: int


def read_run(run: Path, tables: Sequence[str] = (USERS,)) -> Run:
    """Read the documents of a finished run folder, whether its weights are there or not.

    Args:
        run: the run folder.
        tables: further tables that it must have, and that are checked too; a trial has none.

    Raises:
        RunError: one is missing, not listed or damaged.
    """
    manifest = FORMAT.read_manifest(run, (SCORES, LOG, *tables))
    with damaged(run, RunError, REMEDY):
        return Run(read_json(run / SCORES), manifest, epochs_of(run / LOG))


def gather(folder: StudyFolder, cells: Sequence[Cell]) -> int:
    """Write `results.parquet` and `users.parquet` from the cells that are finished, in the order of the plan.

    Further draws of the controls stand apart, in `draws.parquet`, which is there only if they are.

    Args:
        folder: the study folder.
        cells: the cells of the study; others that lie there are left out.

    Returns:
        The number of cells that were gathered, without further draws.
    """
    rows: list[dict[str, Any]] = []
    draws: list[dict[str, Any]] = []
    users: list[pl.DataFrame] = []
    for cell in cells:
        run = folder.run(cell)
        if not folder.has(cell):
            continue
        found = read_run(run)
        common = {**_describe(cell, found), **(_borders(run) if cell.group.window else {})}
        if draw := common.pop("draw"):
            if real := real_cell(cell, cells):  # or there would be no plan
                of_draw = {"draw": draw, "real": real.group.fusion}
                draws += [{**common, **of_draw, "metric": name, "value": value}
                          for name, value in found.metrics["metrics"].items()]  # fmt: skip
            continue
        scores = {
            "test": found.metrics["metrics"],
            "validation": found.metrics.get("validation", {}).get("metrics", {}),
            "zero_branch": found.metrics.get("zero_branch", {}),
        }
        rows += [
            {**common, "part": part, "metric": metric, "value": value}
            for part, values in scores.items()
            for metric, value in values.items()
        ]
        users.append(_of_users(pl.read_parquet(run / USERS), common))
    if users:
        with atomic_file(folder.path / RESULTS) as path:
            pl.DataFrame(rows, schema=SCHEMA).write_parquet(path)
        with atomic_file(folder.path / USERS) as path:
            pl.concat(users).write_parquet(path)
    if draws:
        with atomic_file(folder.path / DRAWS) as path:
            pl.DataFrame(draws).select(pl.col(name).cast(of) for name, of in DRAW_SCHEMA.items()).write_parquet(path)
    else:
        (folder.path / DRAWS).unlink(missing_ok=True)
    return len(users)


def _describe(cell: Cell, run: Run) -> dict[str, Any]:
    """Return what all rows of a cell have in common."""
    return {
        "cell": cell.name,
        "data_fingerprint": run.manifest["data_fingerprint"],
        "protocol": run.metrics["protocol_hash"],
        **cell.group._asdict(),
        "seed": cell.seed,
        "parameters": run.manifest.get("parameters", {}).get("total", 0),
        "best_epoch": run.manifest.get("best_epoch", 0),
        "epochs": run.epochs,
        "seconds": run.manifest["wall_seconds"],
    }


def _borders(run: Path) -> dict[str, str]:
    """Return between which times a window's run was tested."""
    config = read_spec(run).config
    return {"test_from": as_text(config.split.test_from), "test_until": as_text(config.filters.until or "")}


def _of_users(frame: pl.DataFrame, labels: dict[str, Any]) -> pl.DataFrame:
    names = ("cell", "data", "protocol", "backbone", "fusion", "tables", "window", "seed")
    return frame.select(*(pl.lit(labels[name], SCHEMA[name]).alias(name) for name in names), pl.all())
