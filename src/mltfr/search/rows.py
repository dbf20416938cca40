"""The leaderboard: everything that was tried, with its validation score and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from mltfr.config import flatten
from mltfr.errors import RunError
from mltfr.pipeline.artifact import LOG, METRICS
from mltfr.search.journal import REMEDY, Journal
from mltfr.storage.files import atomic_file, read_json
from mltfr.storage.folder import MANIFEST, damaged
from mltfr.storage.parse import parse_json
from mltfr.study.cell import Cell
from mltfr.study.folder import CELLS, StudyFolder
from mltfr.study.job import epochs_of

SCHEMA = {
    "rank": pl.Int64,
    "name": pl.String,
    "kind": pl.String,
    "state": pl.String,
    "validation": pl.Float64,
    "test": pl.Float64,
    "epochs": pl.Int64,
    "seconds": pl.Float64,
    "parameters": pl.Int64,
    "milliseconds": pl.Float64,
    "settings": pl.String,
    "run": pl.String,
    "error": pl.String,
}
"""Columns of `leaderboard.parquet`. `test` is null but for the winner and popularity; `milliseconds` are those of a
request alone, where it was timed; `settings` is JSON, of what differs from the defaults of the search; `run` is the
run folder, relative to the search's."""

FLOOR = "popularity"
"""The baseline that every search has, whatever its time: test is scored beside it."""
TRIAL = "trial"
"""Kind of the rows of a search of settings."""


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard.

    Attributes:
        name: what it is called.
        kind: baseline, network, trial or blend.
        state: finished, paused (it could be trained on), failed, or waiting.
        value: the metric that decides, on validation; None where there is none yet.
        run: its run folder, relative to the search's.
        epochs: epochs trained.
        seconds: what it took, fit and validation, all processes of it.
        parameters: of the network.
        settings: what was drawn for it.
        error: why it failed.
        milliseconds: a request alone; None where it was not timed.
        test: the metric on test; None where it was not scored.
    """

    name: str
    kind: str
    state: str
    value: float | None
    run: str
    epochs: int = 0
    seconds: float = 0.0
    parameters: int | None = None
    settings: str = "{}"
    error: str | None = None
    milliseconds: float | None = None
    test: float | None = None


def board(folder: StudyFolder, cells: Sequence[Cell], metric: str, journal: Journal) -> list[Row]:
    """Return a row for everything that was begun, best first; of equals the one that was planned first."""
    rows = [_row(folder.run(cell), cell, metric, journal) for cell in cells]
    return in_order(row for row in rows if row.state != "waiting")


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return rows, best first."""
    return sorted(rows, key=lambda row: -1.0 if row.value is None else row.value, reverse=True)


def name_of(cell: Cell) -> str:
    """Return what a row is called: backbone, and what is beside the ids."""
    return " + ".join(part for part in (cell.group.backbone, cell.group.fusion) if part and part != "none")


def scores_of(run: Path, metric: str, epochs: int | None = None) -> list[float]:
    """Return the validation scores of the epochs of a run, of the first ones where a number is given."""
    text = (run / LOG).read_text(encoding="utf-8") if (run / LOG).exists() else ""
    whole = text[: text.rfind("\n") + 1].splitlines()[:epochs]  # the last line may be a part of one
    validated = [parse_json(line).get("validation", {}) for line in whole]
    return [scores[metric] for scores in validated if metric in scores]


def _row(run: Path, cell: Cell, metric: str, journal: Journal) -> Row:
    told, place = journal.of_run(run), f"{CELLS}/{cell.name}"
    common = (name_of(cell), "network" if cell.is_trained else "baseline")
    settings = json.dumps(_settings(cell))
    if (run / MANIFEST).exists():
        return finished_row(run, *common, place, metric, told.seconds, settings)
    if told.error is not None:
        return Row(*common, "failed", None, place, 0, told.seconds, None, settings, told.error)
    tried = scores_of(run, metric)
    if not tried:
        return Row(*common, "waiting", None, place)
    return Row(*common, "paused", max(tried), place, len(tried), told.seconds, None, settings)


def finished_row(run: Path, name: str, kind: str, place: str, metric: str, seconds: float, settings: str) -> Row:
    """Return the row of a finished run.

    Args:
        run: its folder.
        name: what it is called.
        kind: what it is.
        place: its folder, relative to the search's.
        metric: what decides.
        seconds: what it took.
        settings: what was chosen for it, as JSON.
    """
    manifest, scores = read_json(run / MANIFEST), read_json(run / METRICS)
    parameters = manifest.get("parameters", {}).get("total")
    value = scores["metrics"][metric]
    return Row(name, kind, "finished", value, place, epochs_of(run / LOG), seconds, parameters, settings)


def _settings(cell: Cell) -> Mapping[str, Any]:
    """Return what says how a network is made, in a few settings."""
    if not cell.is_trained:
        return {}
    config = flatten(cell.config.model_dump(mode="json", include={"backbone", "training", "names", "tokens"}))
    named = ["names.scale"] * cell.config.names.are_used
    keys = ("training.learning_rate", "backbone.dropout", "backbone.hidden", "backbone.blocks", *named)
    tables = {"tokens.tables": list(cell.config.tokens.tables)} if cell.config.tokens.tables else {}
    return {key: config[key] for key in keys if config.get(key) is not None} | tables


def write_board(rows: Sequence[Row], path: Path) -> None:
    """Write the leaderboard, whose rows stand best first, as a Parquet file."""
    table = [
        {
            "rank": rank,
            "name": row.name,
            "kind": row.kind,
            "state": row.state,
            "validation": row.value,
            "test": row.test,
            "epochs": row.epochs,
            "seconds": round(row.seconds, 1),
            "parameters": row.parameters,
            "milliseconds": row.milliseconds,
            "settings": row.settings,
            "run": row.run,
            "error": row.error,
        }
        for rank, row in enumerate(rows, 1)
    ]
    with atomic_file(path) as temporary:
        pl.DataFrame(table, schema=SCHEMA).write_parquet(temporary)


def read_board(path: Path) -> list[Row]:
    """Return the rows of a leaderboard that was written.

    Raises:
        RunError: it is damaged, or of another version.
    """
    with damaged(path, RunError, REMEDY, (PolarsError,)):
        return [
            Row(
                row["name"], row["kind"], row["state"], row["validation"], row["run"], row["epochs"],
                row["seconds"], row["parameters"], row["settings"], row["error"], row["milliseconds"], row["test"],
            )
            for row in pl.read_parquet(path).iter_rows(named=True)
        ]  # fmt: skip
