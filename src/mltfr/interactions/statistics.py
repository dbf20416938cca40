"""Statistics of interaction logs and prepared sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.interactions.clock import Unit
from mltfr.interactions.histories import UNKNOWN
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.prepared import FILES, PreparedSet
from mltfr.interactions.raw import ITEM, USER
from mltfr.interactions.read_as import ReadAs
from mltfr.interactions.split import Split
from mltfr.interactions.splits import SplitConfig, split

QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


@dataclass(frozen=True)
class Statistics:
    """Statistics of an interaction log.

    Attributes:
        source: where the log came from.
        format: the format it was recognised as.
        users: distinct users.
        items: distinct items.
        interactions: rows.
        density: share of all pairs of a user and an item that occur, however often.
        history_length: quantiles of the interactions per user.
        item_popularity: quantiles of the interactions per item.
        item_gini: Gini coefficient of the items' interactions: 0 all alike, near 1 few items have all.
        first_timestamp: earliest time, None without times.
        last_timestamp: latest time, None without times.
        time_unit: unit of these since 1970-01-01 UTC (s, ms, us, ns), None where they are a counter.
        repeats: share of the interactions whose user chose that item before.
        validation_interactions: rows of the given validation split, 0 where there is none.
        test_interactions: rows of the given test split, 0 where there is none.
        test_users: users with a test item under the split, by default the given one, else leave-one-out.
        cold_test_items: share of those test items that the training split lacks; None without test users.
        skipped: invalid rows that were dropped.
        fingerprint: SHA-256 of the content.
        read_as: which columns were read as what, and how the times were understood; None where it is not known.
    """

    source: str
    format: str
    users: int
    items: int
    interactions: int
    density: float
    history_length: Mapping[str, float]
    item_popularity: Mapping[str, float]
    item_gini: float
    first_timestamp: float | None
    last_timestamp: float | None
    time_unit: Unit | None
    repeats: float
    validation_interactions: int
    test_interactions: int
    test_users: int
    cold_test_items: float | None
    skipped: int
    fingerprint: str
    read_as: ReadAs | None


def describe(log: InteractionLog, parts: Split | None = None) -> Statistics:
    """Return the statistics of a log; those of histories and items leave a given test split out.

    Args:
        log: the log.
        parts: how it is split; as by default if not given.
    """
    frame = log.frame
    lengths = frame.group_by(USER).len()["len"].to_numpy()
    popularity = frame.group_by(ITEM).len()["len"].to_numpy()
    first, last = log.span() if log.has_timestamps else (None, None)
    pairs = frame.select(pl.struct(USER, ITEM).n_unique()).item()
    test_users, cold = 0, None
    if parts is None and (log.test is not None or lengths.max() > 1):
        parts = split(log, SplitConfig())
    if parts is not None:
        test_users = len(np.unique(parts.test.user))
        cold = float((parts.targets(parts.test) == UNKNOWN).mean())
    return Statistics(
        source=log.source,
        format=log.format,
        users=len(lengths),
        items=len(popularity),
        interactions=len(frame),
        density=pairs / (len(lengths) * len(popularity)),
        history_length=quantiles(lengths),
        item_popularity=quantiles(popularity),
        item_gini=gini(popularity),
        first_timestamp=_of_source(first, log),
        last_timestamp=_of_source(last, log),
        time_unit=log.unit if log.has_timestamps else None,
        repeats=1 - pairs / len(frame),
        validation_interactions=0 if log.validation is None else len(log.validation),
        test_interactions=0 if log.test is None else len(log.test),
        test_users=test_users,
        cold_test_items=cold,
        skipped=log.skipped,
        fingerprint=log.fingerprint(),
        read_as=log.read_as,
    )


def _of_source(time: float | None, log: InteractionLog) -> float | None:
    """Return a time as the log's source has it."""
    return time if time is None or log.clock.scale == 1 else time / log.clock.scale


@dataclass(frozen=True)
class PreparedStatistics:
    """Statistics of a prepared set; items are those of the training split.

    Attributes:
        folder: where it is.
        source: name of the file that it was made from.
        split: how it was split.
        users: users.
        items: items of the training split.
        interactions: interactions after the filters.
        training_interactions: those of the training split.
        history_length: quantiles of the interactions per user.
        item_popularity: quantiles of the training interactions per item.
        item_gini: Gini coefficient of the items' training interactions.
        validation_examples: held-out predictions to choose by.
        test_examples: held-out predictions to score once.
        cold_test_items: share of the test items that the training split lacks.
        filters: interactions left after each filter.
        skipped: invalid rows that were dropped.
        bytes: size of the files.
        fingerprint: SHA-256 of the log's content, before the filters.
        read_as: as that of `Statistics`.
    """

    folder: str
    source: str
    split: str
    users: int
    items: int
    interactions: int
    training_interactions: int
    history_length: Mapping[str, float]
    item_popularity: Mapping[str, float]
    item_gini: float
    validation_examples: int
    test_examples: int
    cold_test_items: float
    filters: Mapping[str, int]
    skipped: int
    bytes: int
    fingerprint: str
    read_as: ReadAs | None


def describe_prepared(prepared: PreparedSet) -> PreparedStatistics:
    """Return the statistics of a prepared set; its histories are not read."""
    data = prepared.split
    counts = data.vocabulary.counts[1:]
    return PreparedStatistics(
        folder=str(prepared.folder),
        source=prepared.source,
        split=data.method,
        users=len(data.user_ids),
        items=len(data.vocabulary),
        interactions=len(prepared),
        training_interactions=int(data.train_length.sum()),
        history_length=quantiles(data.histories.lengths),
        item_popularity=quantiles(counts),
        item_gini=gini(counts),
        validation_examples=len(data.validation),
        test_examples=len(data.test),
        cold_test_items=float((data.targets(data.test) == UNKNOWN).mean()),
        filters={step.name: step.interactions for step in prepared.report.steps},
        skipped=prepared.skipped,
        bytes=sum((prepared.folder / name).stat().st_size for name in FILES),
        fingerprint=prepared.fingerprint(),
        read_as=prepared.read_as,
    )


def gini(counts: npt.NDArray[np.integer]) -> float:
    """Return the Gini coefficient of non-negative counts: `sum_i (2i - n - 1) x_i / (n sum_i x_i)`, sorted."""
    ordered = np.sort(counts).astype(np.float64)
    size = len(ordered)
    return float(((2 * np.arange(1, size + 1) - size - 1) * ordered).sum() / (size * ordered.sum()))


def quantiles(counts: npt.NDArray[np.integer]) -> dict[str, float]:
    """Return the quantiles `QUANTILES` of counts, by name."""
    return {name: float(np.quantile(counts, share)) for name, share in QUANTILES.items()}
