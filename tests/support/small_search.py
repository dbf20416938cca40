"""A search that takes seconds, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.search.auto import auto
from mltfr.search.request import Outcome, Request
from mltfr.search.work import launch_here
from mltfr.study.config import DataConfig

SETTINGS: dict[str, Any] = {
    "training": {"samples": "positions", "epochs": 4, "batch_size": 32},
    "backbone": {"hidden": 8, "max_length": 10},
}
SEED = 3


def write_log(path: Path) -> Path:
    """Write a made-up log and return its path."""
    synthetic(SyntheticConfig(users=80, items=30, topics=3), seed=SEED).log.frame.write_csv(path)
    return path


def small_request(log: Path, **changes: Any) -> Request:
    """Return what asks for a small search."""
    data = DataConfig.parse({"file": str(log), "settings": changes.pop("of_data", {})})
    return Request(**{"data": data, "seconds": 600.0, "settings": SETTINGS, "trials": 2, "jobs": 1, **changes})


def search_here(log: Path, out: Path, **changes: Any) -> Outcome:
    """Search in this process."""
    more = {key: changes.pop(key) for key in ("resume", "stop", "launch", "began") if key in changes}
    return auto(small_request(log, **changes), out, **{"launch": launch_here, **more})


def board_of(out: Path) -> pl.DataFrame:
    """Return what repeats of a leaderboard: all but how long it took."""
    return pl.read_parquet(out / "leaderboard.parquet").drop("seconds", "milliseconds")
