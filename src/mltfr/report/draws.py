"""The table of draws: the rank of the real tables among random ones."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

import polars as pl

from mltfr.evaluation.bootstrap import LEVEL
from mltfr.report.frames import ROW_KEY, Labels
from mltfr.report.table import Table, TableCell, metric_name, p_value, score, spread

_KEY = ("data", "data_fingerprint", "protocol", "window", "seed", *ROW_KEY)
_CONTROL = ("data", *ROW_KEY, "real")


def rank_p(real: float, draws: list[float]) -> tuple[int, float]:
    """Return the rank of the real tables, 1 being the best, and the p value of being no draw like the others.

    If they were one, each rank would be as likely as another (Phipson and Smyth 2010). One-sided; equals rank first.
    """
    rank = 1 + sum(draw >= real for draw in draws)
    return rank, rank / (1 + len(draws))


def ranked_draws(results: pl.DataFrame, draws: pl.DataFrame, metric: str) -> list[dict[str, Any]]:
    """Return a row per control, with the scores of its draws and of the real tables, on test.

    A score is the mean over the windows, and over the seeds that the further draws ran with. A draw that lacks one of
    them is left out, and so is a control whose real tables do.

    Args:
        results: as `results.parquet`.
        draws: as `draws.parquet`.
        metric: the score.
    """
    test = results.filter(pl.col("part") == "test", pl.col("metric") == metric).select(*_KEY, "value")
    further = draws.filter(pl.col("metric") == metric)
    rows = []
    for key, mine in further.group_by(_CONTROL, maintain_order=True):
        labels = dict(zip(_CONTROL, key, strict=True))
        seeds = mine["seed"].unique()
        alike = [pl.col(name) == labels[name] for name in ("data", "backbone", "tables")]
        own = test.filter(*alike, pl.col("seed").is_in(seeds.to_list()))
        real = own.filter(pl.col("fusion") == labels["real"])
        first = own.filter(pl.col("fusion") == labels["fusion"]).with_columns(draw=pl.lit(0, pl.Int64))
        columns = ("draw", "window", "seed", "value")
        every = pl.concat([first.select(columns), mine.select(columns)]).sort("draw", "window", "seed")
        whole = len(real) and len(real) == len(seeds) * every["window"].n_unique()
        means = every.group_by("draw", maintain_order=True).agg(pl.col("value").mean(), count=pl.len())
        scores = means.filter(pl.col("count") == len(real))["value"].to_list()
        if whole and scores:
            rank, p = rank_p(fmean(real.sort("window", "seed")["value"]), scores)
            rows.append({**labels, "protocol": mine["protocol"][0], "value": fmean(real["value"]), "draws": scores,
                         "seeds": len(seeds), "rank": rank, "p": p})  # fmt: skip
    return rows


def draw_table(results: pl.DataFrame, draws: pl.DataFrame | None, labels: Labels, metric: str) -> Table | None:
    """Return the table; None where there are no draws to rank among.

    Args:
        results: as `results.parquet`.
        draws: as `frames.read_draws` returns it.
        labels: the order of rows.
        metric: the one that is ranked by.
    """
    rows = ranked_draws(results, draws, metric) if draws is not None else []
    if not rows:
        return None
    rows.sort(key=labels.key)
    fewest = min(len(row["draws"]) for row in rows)
    return Table(
        name="draws",
        title=f"Real tables among draws of random ones: {metric_name(metric)} on test",
        header=("data", "backbone", "tables", "fusion", "score", "control", "draws", "mean", "best", "rank", "p"),
        numbers=(False, False, False, False, True, False, True, True, True, True, True),
        rows=tuple(tuple(map(TableCell, _cells(row))) for row in rows),
        notes=(
            "Every draw of a control has random vectors of its own, and else the same settings and seeds as the fusion "
            f"with the real tables: {_seeds(rows)}. Rank 1 is the best; p is the share of the ranks as good as theirs, "
            "one-sided (Phipson and Smyth 2010): how often a draw among draws stands there. With "
            f"{fewest} draws it cannot be below {p_value(1 / (1 + fewest))}; "
            f"{round(1 / LEVEL) - 1} are needed for {f'{LEVEL:g}'.lstrip('0')}."
            + " Every row is asked by itself: p is not corrected for their number." * (len(rows) > 1),
        ),
    ).without_empty_columns()


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    draws = row["draws"]
    mean = spread(fmean(draws), stdev(draws) if len(draws) > 1 else None)
    return (
        row["data"], row["backbone"], row["tables"], row["real"], score(row["value"]), row["fusion"], str(len(draws)),
        mean, score(max(draws)), f"{row['rank']} of {1 + len(draws)}", p_value(row["p"]),
    )  # fmt: skip


def _seeds(rows: list[dict[str, Any]]) -> str:
    counts = sorted({row["seeds"] for row in rows})
    return "one seed" if counts == [1] else f"means over {' or '.join(map(str, counts))} seeds"
