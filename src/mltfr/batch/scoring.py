"""Score one part of a batch job: a table of users in, a table of their best items out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mltfr.inference import IndexReport, Requests, Retriever, check_index, read_lists, recommendation_table
from mltfr.inference.top_k import Progress
from mltfr.interactions import UNKNOWN
from mltfr.pipeline import Served

ITEMS, CODES = "items", "codes"
"""A user's history: item ids as the log writes them, or a run's own codes."""


@dataclass(frozen=True)
class RecommendationSpec:
    """What every user gets.

    Attributes:
        k: items, at most.
        include_seen: whether items of the history may come again; None for what the run was evaluated with.
        allow: item ids that may be recommended; None for all.
        deny: item ids that may not.
        index: how the items are looked for, one of `mltfr.inference.INDEXES`; "exact" and "dense" are the same here.
    """

    k: int = 10
    include_seen: bool | None = None
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    index: str = "exact"

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters that identify a job; lists of items as their checksums."""
        lists = {name: _digest(ids) for name, ids in (("allow", self.allow), ("deny", self.deny or None))}
        return {"k": self.k, "include_seen": self.include_seen, "index": self.index, **lists}


@dataclass(frozen=True)
class Scored:
    """What came of a table of users.

    Attributes:
        table: rows `user_id, rank, item_id, score`, users in their order.
        unknown: how often each item id that training lacks occurs in the histories.
        without_known_item: users who got the most popular items, for want of any known one.
    """

    table: pl.DataFrame
    unknown: Mapping[str, int]
    without_known_item: list[str]


class PartScorer:
    """Scores tables of users; made once in every process that scores.

    Args:
        served: the fitted model with its items, as `mltfr.pipeline.load_served` returns it.
        spec: what every user gets.
        run: the run folder, where an approximate index is kept; None to hold it in memory only.

    Raises:
        ConfigError: the index is unknown, or approximate for a baseline.
        DataError: training knows none of the items that may be recommended.
    """

    def __init__(self, served: Served, spec: RecommendationSpec, run: Path | None = None) -> None:
        check_index(spec.index)
        vocabulary = served.vocabulary
        lists = read_lists(vocabulary, spec.allow, spec.deny)
        remove_seen = served.config.evaluation.remove_seen if spec.include_seen is None else not spec.include_seen
        self.lists = lists.given
        self.spec = spec
        self._vocabulary = vocabulary
        self._run = run
        self._retriever = Retriever(served.scorer)
        self._rules = lists.rules(remove_seen)
        self._known = pl.DataFrame({"item": pl.Series(vocabulary.item_ids, dtype=pl.String)}).with_columns(
            pl.int_range(1, len(vocabulary) + 1, dtype=pl.Int32).alias("code")
        )

    def score(self, users: pl.DataFrame, progress: Progress | None = None) -> Scored:
        """Return the best items of some users.

        The same part gives the same bytes in whatever process it is scored. Scores depend in their last bits on which
        users are scored together, so an engine must keep to the parts of `plan_parts`.

        Args:
            users: `user_id` (String), and either `items`, a list of item ids, oldest first, or `codes`, the same
                in the run's codes.
            progress: told after every batch.
        """
        requests = self._requests(users)
        if self.spec.index == "ivf":
            best = self._retriever.approximate_top_k(
                requests.histories, self.spec.k, self._rules, folder=self._run, progress=progress
            )
        else:
            best = self._retriever.top_k(
                requests.histories, self.spec.k, self._rules, quantised=False, progress=progress
            )
        table = recommendation_table(users["user_id"], best, self._vocabulary)
        return Scored(table, requests.unknown, requests.without_known_item)

    def index_report(self, users: pl.DataFrame) -> IndexReport:
        """Return how much of the exact lists an approximate index finds for some users, given as to `score`."""
        histories = self._requests(users).histories
        return self._retriever.index_report(histories, self.spec.k, self._rules, folder=self._run)

    def _requests(self, users: pl.DataFrame) -> Requests:
        column = users[CODES] if CODES in users.columns else users[ITEMS]
        lengths = column.list.len().to_numpy().astype(np.int64)                # [U]
        flat = column.filter(column.list.len() > 0).explode()                  # [T]
        unknown: Counter[str] = Counter()
        if column.name == CODES:
            codes = flat.cast(pl.Int32).to_numpy()
        else:
            found = flat.alias("item").to_frame().join(self._known, on="item", how="left", maintain_order="left")
            unknown.update(found.filter(pl.col("code").is_null())["item"])
            codes = found["code"].fill_null(UNKNOWN).to_numpy()
        histories = np.split(codes, np.cumsum(lengths)[:-1]) if len(lengths) else []
        return Requests(users["user_id"].to_list(), histories, unknown)


def _digest(ids: tuple[str, ...] | None) -> str | None:
    return None if ids is None else hashlib.sha256("\n".join(ids).encode()).hexdigest()
