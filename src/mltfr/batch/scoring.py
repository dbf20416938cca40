"""Score one part of a batch job: a table of users in, a table of their best items out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from mltfr.inference import IndexReport, RecommendationSpec, Requests, Retriever, Shortfalls, recommend
from mltfr.inference.requests import stripped_by
from mltfr.interactions import UNKNOWN
from mltfr.interactions.ids import Strip
from mltfr.pipeline import InferenceModel
from mltfr.storage.progress import SILENT, Progress

ITEMS, CODES = "items", "codes"
"""A user's history: item ids as the log writes them, or a run's own codes."""


@dataclass(frozen=True)
class Scored:
    """The recommendations of a table of users.

    Attributes:
        table: rows `user_id, rank, item_id, score`, users in their order; with names, `name` behind `item_id`.
        shortfalls: what was skipped, or answered otherwise than asked.
    """

    table: pl.DataFrame
    shortfalls: Shortfalls


class PartScorer:
    """Scores tables of users; made once in every process that scores.

    Args:
        model: the fitted model with its items, as `mltfr.pipeline.load_inference_model` returns it.
        spec: what every user gets. "exact" and "dense" are the same here: 8-bit vectors are for lone requests.
        run: the run folder, where an approximate index is kept; None to hold it in memory only.

    Attributes:
        unknown_in_filters: by the filter's name, the item ids of `spec` that training has not seen.

    Raises:
        DataError: training has seen none of the items that may be recommended.
        ConfigError: new items are asked for, and the run has none.
    """

    def __init__(self, model: InferenceModel, spec: RecommendationSpec, run: Path | None = None) -> None:
        model = model.with_new_items() if spec.new_items else model
        vocabulary = model.vocabulary
        self.spec = spec
        self._index = "dense" if spec.index == "exact" else spec.index
        self._vocabulary = vocabulary
        self._retriever = Retriever(model.scorer, folder=None if spec.new_items else run)
        self._rules, self.unknown_in_filters = spec.rules(vocabulary, model.config.evaluation.remove_seen)
        self._codes = pl.DataFrame({"item": pl.Series(vocabulary.item_ids, dtype=pl.String)}).with_columns(
            pl.int_range(1, len(vocabulary) + 1, dtype=pl.Int32).alias("code")
        )

    def score(self, users: pl.DataFrame, progress: Progress = SILENT) -> Scored:
        """Return the best items of some users.

        The same part gives the same bytes in whatever process it is scored. Scores depend in their last bits on which
        users are scored together, so a cluster must keep to the parts of `plan_parts`.

        Args:
            users: `user_id` (String), and either `items`, a list of item ids, oldest first, or `codes`, the same
                in the run's codes. White space around ids is stripped.
            progress: advanced by every batch's users.

        Raises:
            ConfigError: an approximate index is asked of a baseline.
        """
        requests = self._requests(users)
        table, shortfalls = recommend(
            self._retriever, self._vocabulary, requests, self._rules, self.spec.k, self._index, progress
        )
        return Scored(table if self.spec.names is None else self.spec.names.beside(table), shortfalls)

    def index_report(self, users: pl.DataFrame) -> IndexReport:
        """Return how much of the exact lists an approximate index finds for some users, given as to `score`."""
        return self._retriever.index_report(self._requests(users).histories, self.spec.k, self._rules)

    def _requests(self, users: pl.DataFrame) -> Requests:
        column = users[CODES] if CODES in users.columns else users[ITEMS]
        lengths = column.list.len().to_numpy().astype(np.int64)          # [U]
        flat = column.filter(column.list.len() > 0).explode(empty_as_null=False)  # [T]
        unknown: Counter[str] = Counter()
        user_ids, strips = users["user_id"], [Strip("user_id"), Strip("items")]
        if column.name == CODES:
            codes = flat.cast(pl.Int32).to_numpy()
            codes = np.where(codes > len(self._vocabulary), UNKNOWN, codes)  # new items, where they are not asked for
        else:
            user_ids, flat = (_stripped(ids, strip) for ids, strip in zip((user_ids, flat), strips, strict=True))
            found = flat.alias("item").to_frame().join(self._codes, on="item", how="left", maintain_order="left")
            unknown.update(found.filter(pl.col("code").is_null())["item"])
            codes = found["code"].fill_null(UNKNOWN).to_numpy()
        histories = np.split(codes, np.cumsum(lengths)[:-1]) if len(lengths) else []
        return Requests(user_ids.to_list(), histories, unknown, stripped=stripped_by(*strips))


def _stripped(ids: pl.Series, strip: Strip) -> pl.Series:
    strip.look(ids)
    return strip.strip(ids)
