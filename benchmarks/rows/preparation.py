"""From a file to a split: read, checked, filtered, split."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from harness.clock import measure, peak_megabytes
from harness.counts import FLOAT, Work
from harness.floor import floor_seconds
from harness.result import Budget, Result
from harness.settings import Settings
from mltfr.interactions import FilterConfig, SplitConfig, apply_filters, load_interactions, split

PER_USER = 100
ITEMS = 50_000


def prepare_200k(settings: Settings) -> list[Result]:
    """A small log."""
    return _prepare(settings, 200_000, Budget())


def prepare_2m(settings: Settings) -> list[Result]:
    """A middling one."""
    return _prepare(settings, 2_000_000, Budget())


def prepare_20m(settings: Settings) -> list[Result]:
    """The one that the budget is for."""
    return _prepare(settings, 20_000_000, Budget(None, 20), repeats=1)


def _prepare(settings: Settings, rows: int, budget: Budget, repeats: int | None = None) -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for path in _files(Path(folder), rows, settings.seed):

            def prepare(path: Path = path) -> None:
                log, _ = apply_filters(load_interactions(path), FilterConfig())
                split(log, SplitConfig())

            times = measure(prepare, repeats or settings.repeats, warm_up=0)
            what = f"{rows:,} rows read, checked, split: {path.suffix[1:]}, {settings.threads} threads"
            peak, kind = peak_megabytes(), path.suffix[1:]
            # at the least, the file is read, and 4 bytes a row are written: the items' codes
            least = floor_seconds(settings, Work(scanned=path.stat().st_size, moved=FLOAT * rows))
            drawn = {"series": f"rows of the log / {kind}", "at": rows}
            results.append(Result(what, "s", times.wall, "wall", budget=budget, floor=least, **drawn))
            note = "the file's making included" if kind == "csv" else "of both formats"
            results.append(Result(f"memory of {what}", "MB", [peak], "peak", note=note, **drawn))
    return results


def _files(folder: Path, rows: int, seed: int) -> list[Path]:
    """Write a log of unordered rows with text ids as CSV and as Parquet."""
    random = np.random.default_rng(seed)
    users = random.integers(0, rows // PER_USER, rows)
    items = (ITEMS * random.random(rows) ** 2).astype(np.int64)
    frame = pl.DataFrame(
        {
            "user_id": pl.Series(users).cast(pl.String),
            "item_id": pl.Series(items).cast(pl.String),
            "timestamp": random.integers(1_500_000_000, 1_700_000_000, rows),
        }
    )
    frame.write_csv(folder / "log.csv")
    frame.write_parquet(folder / "log.parquet")
    return [folder / "log.csv", folder / "log.parquet"]
