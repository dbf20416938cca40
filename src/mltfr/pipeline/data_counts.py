"""How large the parts of a log are: after every filter, in training, validation and test, and what none can hit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from mltfr.evaluation.asked import TargetCounts, count_targets
from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.interactions import Split
from mltfr.interactions.extend import METHOD as NEW_ROWS
from mltfr.interactions.filter_steps import FilterStep
from mltfr.interactions.splits.new_items import NEW_ITEMS
from mltfr.storage.progress import Progress

FEW_USERS = 100
"""Test users from which on a score is not said to rest on few."""
MUCH = 0.05
"""Share of the test items that cannot be hit from which on it is said what to do."""
HEAVY = 0.1
"""Share of the test items that one user has from which on it is said what to do."""
WIDTH = 80
"""Characters of a line."""


@dataclass(frozen=True)
class DataCounts:
    """How large the parts of a split log are.

    Attributes:
        split: how it was split (`Split.method`).
        average: what scores are the mean over (`EvaluationProtocol.average`).
        filters: what every filter left of the log, after what there was before.
        training: interactions, users and items of the training split.
        validation: what is asked there.
        test: what is asked there.
        left_out: why and how many users are missing from a part.
    """

    split: str
    average: str
    filters: tuple[FilterStep, ...]
    training: FilterStep
    validation: TargetCounts
    test: TargetCounts
    left_out: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the counts as `metrics.json` has them."""
        return {**asdict(self), "filters": [asdict(step) for step in self.filters]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the counts of a `metrics.json`."""
        parts = {name: TargetCounts(**document[name]) for name in ("validation", "test")}
        steps = tuple(FilterStep(**step) for step in document["filters"])
        return cls(**{**document, **parts, "filters": steps, "training": FilterStep(**document["training"])})

    def __str__(self) -> str:
        sentences = (textwrap.fill(sentence, WIDTH) for sentence in self.remarks())
        return "\n".join([*_table(self._rows()), *sentences])

    @property
    def paragraph(self) -> str:
        """The counts in running text."""
        rows = (
            f"{name} {interactions:,} rows, {_users(users)}" + (f", {items:,} items" if items is not None else "")
            for name, interactions, users, items in self._rows()
        )
        return " ".join([f"{'; '.join(rows)}.", *self.remarks()])

    def tell(self, progress: Progress) -> None:
        """Say the counts, line by line."""
        for line in str(self).split("\n"):
            progress.message(line)

    def remarks(self) -> Iterator[str]:
        """Yield a sentence on each thing that a reader of the scores should know."""
        if self.left_out:
            yield f"Left out: {', '.join(f'{_users(count)} {reason}' for reason, count in self.left_out.items())}."
        test, names = self.test, {step.name for step in self.filters}
        settable = self.split != NEW_ROWS  # an update keeps its run's settings: there is nothing to do
        much = MUCH * test.targets
        if test.unknown and not self.split.startswith(NEW_ITEMS):
            later = "later split.validation_from and split.test_from leave fewer new items"
            remedy = later if self.split.startswith("global-time") else "--set filters.core=5 leaves rare items out"
            told = f": {remedy}" if settable and test.unknown >= much and "core" not in names else ""
            yield f"{_of(test.unknown, test.targets)} are not in training and count as misses{told}."
        if test.seen:
            remedy = "--set evaluation.remove_seen=false"
            if "consecutive_repeats" not in names:
                remedy += ", or filters.consecutive_repeats=drop where the item before is repeated"
            told = f": {remedy}" if settable and test.seen >= much else ""
            seen = "are in the user's history already and can never be recommended"
            yield f"{_of(test.seen, test.targets)} {seen}{told}."
        if 0 < test.users < FEW_USERS:
            yield f"The test scores rest on {_users(test.users)} only: differences between runs may be chance."
        heavy = test.most > max(HEAVY * test.targets, 2 * test.targets / max(test.users, 1))
        if heavy and self.average == "examples":
            told = ": with --set evaluation.average=users everyone counts the same" if settable else ""
            yield f"One user has {_of(test.most, test.targets)}{told}."

    def _rows(self) -> Iterator[tuple[str, int, int, int | None]]:
        for step in self.filters:
            name = "read" if step.name == "before" else f"after {step.name}"
            yield name, step.interactions, step.users, step.items
        yield "training", self.training.interactions, self.training.users, self.training.items
        for name, part in (("validation", self.validation), ("test", self.test)):
            if part.targets:
                yield name, part.targets, part.users, None


def count_data(data: Split, protocol: EvaluationProtocol, filters: Iterable[FilterStep] = ()) -> DataCounts:
    """Count the parts of a split log.

    Args:
        data: the split.
        protocol: how scores will be measured.
        filters: what every filter left.
    """
    return DataCounts(
        split=data.method,
        average=protocol.average,
        filters=tuple(filters),
        training=FilterStep(
            "training", data.training_interactions, int(np.sum(data.train_length > 0)), len(data.vocabulary)
        ),
        validation=count_targets(data, "validation", protocol),
        test=count_targets(data, "test", protocol),
        left_out=dict(data.left_out),
    )


def _table(rows: Iterable[tuple[str, int, int, int | None]]) -> Iterator[str]:
    """Yield the lines of a table of counts."""
    cells = [["data", "rows", "users", "items"]]
    cells += [[name, *("" if count is None else f"{count:,}" for count in counts)] for name, *counts in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, *counts in cells:
        numbers = (f"{count:>{width + 3}}" for count, width in zip(counts, widths[1:], strict=True))
        yield f"{name:<{widths[0]}}{''.join(numbers)}".rstrip()


def _users(count: int) -> str:
    return f"{count:,} user{'s' * (count != 1)}"


def _of(count: int, total: int) -> str:
    share = 100 * count / total
    return f"{count:,} of {total:,} test items ({'less than 1' if share < 1 else f'{share:.0f}'} %)"
