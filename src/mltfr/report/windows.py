"""The windows of a rolling split as one: a score is the mean over the windows, and a user counts once.

Someone who is tested in three windows is one person: the three scores have a taste in common, and a test that took them
for three people would be too sure. So a user's scores are averaged over the windows in which the user is tested, and
everything behind it (comparison, tables, plots) is what it is without windows.
"""

from __future__ import annotations

import polars as pl

from mltfr.report.frames import ROW_KEY, TABLE_KEY

_RUN = ("data", *ROW_KEY, "seed")
"""Columns in which the cells of one recommender and seed agree; they differ by window."""
_LABELS = ("data", "backbone", "fusion", "tables")
_ROLLED = pl.col("window") != ""


def rolled_cells(results: pl.DataFrame) -> pl.DataFrame:
    """Return the cells of windows, `cell, whole, data_fingerprint, protocol`, the keys being those of all windows.

    `whole` is the first cell of the recommender and seed; fingerprints and protocols that differ are joined by spaces,
    in the order of the windows. A recommender and seed that lacks a window is left out, since a mean without the
    hardest month cannot be compared with one that has it.

    Args:
        results: as `results.parquet`.
    """
    runs = _runs(results).filter(pl.col("cells").list.len() == pl.col("windows"))
    return runs.select("cells", *(pl.col(name).list.join(" ") for name in TABLE_KEY[1:])).select(
        pl.col("cells").alias("cell"), pl.col("cells").list.first().alias("whole"), *TABLE_KEY[1:]
    ).explode("cell", empty_as_null=False)  # fmt: skip


def incomplete(results: pl.DataFrame) -> list[str]:
    """Return a sentence for every recommender and seed that is left out, since it lacks a window that others have."""
    runs = _runs(results).filter(pl.col("cells").list.len() < pl.col("windows"))
    return [
        f"{' / '.join(str(row[name]) for name in _LABELS if row[name])}, seed {row['seed']}, is left out: it has "
        f"{len(row['cells'])} of {row['windows']} windows."
        for row in runs.iter_rows(named=True)
    ]


def pooled_results(results: pl.DataFrame, rolled: pl.DataFrame) -> pl.DataFrame:
    """Return results with one value per recommender, seed, split and metric: the mean of the windows' values.

    Args:
        results: as `results.parquet`.
        rolled: as `rolled_cells` returns it.
    """
    kept = ("cell", *TABLE_KEY, *ROW_KEY, "seed", "parameters", "part", "metric", "value")
    windows = _with_keys(results, rolled).group_by(
        [*TABLE_KEY, *ROW_KEY, "seed", "part", "metric"], maintain_order=True
    ).agg(pl.col("whole").first().alias("cell"), pl.col("parameters").max(), pl.col("value").mean())  # fmt: skip
    return pl.concat([results.filter(~_ROLLED).select(kept), windows.select(kept)])


def pooled_users(users: pl.DataFrame, rolled: pl.DataFrame) -> pl.DataFrame:
    """Return users with one row per recommender, seed and user: the mean over the windows that test the user.

    History length and popularity are those of the first of these windows.

    Args:
        users: as `frames.read_users` returns it.
        rolled: as `rolled_cells` returns it.
    """
    labels = ("cell", *TABLE_KEY, *ROW_KEY, "seed", "user_id", "history_length", "target_popularity")
    metrics = [name for name in users.columns if name not in (*labels, "window")]
    windows = _with_keys(users, rolled).group_by([*TABLE_KEY, *ROW_KEY, "seed", "user_id"], maintain_order=True).agg(
        pl.col("whole").first().alias("cell"), pl.col("history_length", "target_popularity").first(),
        pl.col(metrics).mean(),
    )  # fmt: skip
    kept = (*labels, *metrics)
    return pl.concat([users.filter(~_ROLLED).select(kept), windows.select(kept)])


def pooled_logs(logs: pl.DataFrame, rolled: pl.DataFrame) -> pl.DataFrame:
    """Return logs in which the cells of all windows belong to one table.

    Args:
        logs: as `frames.read_logs` returns it.
        rolled: as `rolled_cells` returns it.
    """
    windows = logs.drop(TABLE_KEY[1:]).join(rolled, on="cell", maintain_order="left").select(logs.columns)
    return pl.concat([logs.filter(pl.col("window") == ""), windows])


def _runs(results: pl.DataFrame) -> pl.DataFrame:
    """Return a row per recommender and seed with the cells of its windows, and how many the data set has."""
    cells = results.filter(_ROLLED).select("cell", *TABLE_KEY, *ROW_KEY, "seed", "window").unique()
    counted = cells.sort("window", "cell").with_columns(windows=pl.col("window").n_unique().over("data"))
    return counted.group_by(_RUN, maintain_order=True).agg(
        pl.col("cell").alias("cells"), pl.col("windows").first(), pl.col(TABLE_KEY[1:]).unique(maintain_order=True)
    )


def _with_keys(frame: pl.DataFrame, rolled: pl.DataFrame) -> pl.DataFrame:
    """Return a frame's rows of windows with the keys of all windows, the oldest window first."""
    return frame.drop(TABLE_KEY[1:]).join(rolled, on="cell", maintain_order="left").sort("window", maintain_order=True)
