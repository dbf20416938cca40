"""Test scores user by user, which paired tests compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from mltfr.evaluation import Evaluation
from mltfr.evaluation.slices import popularity_slices
from mltfr.pipeline import FittedModel

USERS = "users.parquet"
"""File of these scores, in a run folder and, for all runs, in the study folder."""
PAIRED = ("hr@10", "ndcg@10", "mrr@10")
"""Metrics that are kept for every user, where they are measured, whatever the study shows."""


def per_user(fitted: FittedModel, result: Evaluation, metrics: Sequence[str] = ()) -> pl.DataFrame:
    """Return one row a test user: `user_id, history_length, target_popularity`, and a column per metric.

    A user with several examples counts by their mean; length and popularity are those of the first one.

    Args:
        fitted: the model and its data.
        result: its evaluation on test.
        metrics: further metrics than `PAIRED`.
    """
    split = fitted.split
    popularity = np.full(len(split.test), "unknown", dtype=object)
    for name, mask in popularity_slices(split.targets(split.test), split.vocabulary.counts).items():
        popularity[mask] = name
    names = [name for name in dict.fromkeys((*PAIRED, *metrics)) if name in result.per_example]
    scores = pl.DataFrame({"row": result.user, **{name: result.per_example[name] for name in names}})
    facts = pl.DataFrame(
        {
            "row": split.test.user,
            "history_length": split.test.cut,
            "target_popularity": pl.Series(popularity.tolist(), dtype=pl.String),
        }
    )
    users = (
        scores.group_by("row", maintain_order=True)
        .agg(pl.col(names).mean())
        .join(facts.group_by("row").first(), on="row", how="left", maintain_order="left")
    )
    ids = pl.Series("user_id", list(split.user_ids), dtype=pl.String).gather(users["row"])
    return users.select(ids, "history_length", "target_popularity", *names)
