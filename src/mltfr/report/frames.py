"""Reads a study's folder: results, users and training logs as frames, and the order of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from mltfr.errors import RunError, word
from mltfr.storage.files import read_json_lines
from mltfr.storage.folder import damaged
from mltfr.storage.foreign import foreign_parquet
from mltfr.storage.parse import parse_toml

Row = Mapping[str, Any]
"""A row of a frame, by column."""

RESULTS, USERS, DRAWS = "results.parquet", "users.parquet", "draws.parquet"
STUDY, CELLS, LOG = "study.toml", "cells", "log.jsonl"

TABLE_KEY = ("data", "data_fingerprint", "protocol")
"""Columns in which the rows of a table agree: other rows cannot be compared with each other."""
ROW_KEY = ("backbone", "tables", "fusion")
"""Columns that identify a row of a table; its runs differ by seed only."""
RowName = tuple[str, str, str]
"""Backbone, tables and fusion of a row; the latter two are "" for a baseline."""

_RESULTS = ("cell", *TABLE_KEY, *ROW_KEY, "window", "test_from", "test_until", "seed", "parameters", "part", "metric",
            "value")  # fmt: skip
_USERS = ("cell", "data", "protocol", *ROW_KEY, "window", "seed", "user_id", "history_length", "target_popularity")
_DRAWS = (*TABLE_KEY, *ROW_KEY, "window", "seed", "draw", "real", "metric", "value")
_LOGS = {"cell": pl.String, **dict.fromkeys((*TABLE_KEY, *ROW_KEY, "window"), pl.String), "seed": pl.Int64,
         "round": pl.Int64, "epoch": pl.Int64, "kind": pl.String, "name": pl.String, "value": pl.Float64}  # fmt: skip


def label(row: RowName) -> str:
    """Return what a study calls a row."""
    return row[2] or row[0]


def read_results(folder: Path) -> pl.DataFrame:
    """Return `results.parquet`: one row per cell, part and metric.

    Raises:
        RunError: it is missing, damaged, or lacks a column.
    """
    return _read(folder / RESULTS, _RESULTS)


def read_users(folder: Path) -> pl.DataFrame:
    """Return `users.parquet`, with the data's fingerprint of `results.parquet` added: one row per cell and user.

    Raises:
        RunError: one of the files is missing, damaged, or lacks a column.
    """
    prints = read_results(folder).select("cell", "data_fingerprint").unique()
    return _read(folder / USERS, _USERS).join(prints, on="cell", how="left", maintain_order="left")


def read_draws(folder: Path) -> pl.DataFrame | None:
    """Return `draws.parquet`: one row per further draw of a control and metric; None where the study has none.

    Raises:
        RunError: it is damaged, or lacks a column.
    """
    return _read(folder / DRAWS, _DRAWS) if (folder / DRAWS).is_file() else None


def read_logs(folder: Path) -> pl.DataFrame:
    """Return what the cells logged, one row per cell, epoch and number.

    `kind` is "validation" (`name` is the metric), "router_share" (`name` is the token table) or "loss". Cells
    whose log is not there have no rows: a study's folder without its cells is still a result.

    Raises:
        RunError: `results.parquet` or a log is damaged.
    """
    labels = read_results(folder).select("cell", *TABLE_KEY, *ROW_KEY, "window", "seed").unique().sort("cell")
    rows: list[dict[str, Any]] = []
    for cell in labels.iter_rows(named=True):
        path = folder / CELLS / cell["cell"] / LOG
        if path.is_file():
            rows += [{**cell, **number} for record in _records(path) for number in _numbers(record)]
    return pl.DataFrame(rows, schema=_LOGS)


@dataclass(frozen=True)
class Labels:
    """A study's labels in the order of its file, and the token tables of each set."""

    data: Sequence[str] = ()
    baselines: Sequence[str] = ()
    backbones: Sequence[str] = ()
    fusions: Sequence[str] = ()
    tables: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the sort key of a row: baselines first, in the order of the study's file, then by name."""
        orders = (self.data, (*self.baselines, *self.backbones), tuple(self.tables), self.fusions)
        names = (row["data"], row["backbone"], row["tables"], row["fusion"])
        ranks = [(known.index(name) if name in known else len(known), name)
                 for known, name in zip(orders, names, strict=True)]  # fmt: skip
        of_data, of_backbone, of_tables, of_fusion = ranks
        rest = (row.get("data_fingerprint", ""), row["protocol"])
        return (*of_data, *rest, row["fusion"] != "", *of_backbone, *of_fusion, *of_tables)


def read_labels(folder: Path) -> Labels:
    """Return the labels of `study.toml`; none where there is no such file.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / STUDY
    if not path.is_file():
        return Labels()
    try:
        study = parse_toml(path.read_text("utf-8"))
        tables = {name: tuple(entry.get("tables", ())) for name, entry in study.get("tables", {}).items()}
        names = {key: tuple(study.get(key, ())) for key in ("data", "baselines", "backbones", "fusions")}
        names["fusions"] += tuple(study.get("blends", ()))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RunError(f"{path}: damaged, or no study ({' '.join(str(error).split())}).") from error
    return Labels(**names, tables=tables)


def _read(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    if not path.is_file():
        raise RunError(f"{path}: missing. It is written by: mltfr study FILE.toml --out {word(path.parent)}")
    with foreign_parquet(path, RunError, "Run the study again."):
        frame = pl.read_parquet(path)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise RunError(f"{path}: lacks the columns {', '.join(missing)}; it has {', '.join(frame.columns)}.")
    return frame


def _records(path: Path) -> list[dict[str, Any]]:
    with damaged(path, RunError, "Remove its cell, and run the study again."):
        return read_json_lines(path)


def _numbers(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    at = {"round": record.get("round", 1), "epoch": record["epoch"]}
    numbers = [("loss", "loss", record.get("loss"))]
    numbers += [(kind, name, value) for kind in ("validation", "router_share")
                for name, value in record.get(kind, {}).items()]  # fmt: skip
    return [{**at, "kind": k, "name": n, "value": float(v)} for k, n, v in numbers if v is not None]
