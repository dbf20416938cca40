"""What a prepared set looks like, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mltfr.interactions.histories import UNKNOWN
from mltfr.interactions.prepared.layout import FILES
from mltfr.interactions.prepared.opened import PreparedSet
from mltfr.interactions.statistics import gini, quantiles


@dataclass(frozen=True)
class PreparedStatistics:
    """Numbers about a prepared set; items are those of the training part.

    Attributes:
        folder: where it is.
        source: name of the file that it was made from.
        split: how it was divided.
        users: users.
        items: items that training knows.
        interactions: interactions after the filters.
        training_interactions: those of the training part.
        history_length: quantiles of the interactions per user.
        item_popularity: quantiles of the training interactions per item.
        item_gini: Gini coefficient of the items' training interactions.
        validation_examples: held-out predictions to choose by.
        test_examples: held-out predictions to score once.
        cold_test_items: share of the test items that the training part lacks.
        filters: interactions left after each filter.
        skipped: invalid rows that were dropped.
        bytes: size of the files.
        fingerprint: SHA-256 of the log's content, before the filters.
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
    )
