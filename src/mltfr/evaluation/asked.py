"""What is asked of a scorer: the targets of a split, and the histories that they are predicted from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.inference import Rules
from mltfr.interactions import UNKNOWN, Examples, History, Split

SplitName = Literal["validation", "test"]
"""A split with held-out items."""
PIECE = 1 << 18
"""Items of histories that are looked through together, about."""
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AskedTargets:
    """The targets of a split: one an example, or, averaged over users, as many as a user has, each item once.

    Attributes:
        examples: every target's user, and its place in the user's history, `[T]`.
        targets: int32 `[T]`, their codes.
        group: int64 `[T]`, which example, of the E, a target belongs to.
        user: int64 `[E]`, row in `Split.histories` of every example.
        lengths: int64 `[E]`: of the history, what an example is predicted from.
    """

    examples: Examples
    targets: npt.NDArray[np.int32]
    group: Rows
    user: Rows
    lengths: Rows

    def __len__(self) -> int:
        return len(self.targets)

    def histories(self, data: Split, rows: Rows) -> list[History]:
        """Return the histories that some examples are predicted from; they are views of the split's."""
        starts = data.histories.offsets[self.user[rows]]
        return [data.histories.items[s : s + n] for s, n in zip(starts, self.lengths[rows], strict=True)]

    def flat(self, data: Split, rows: Rows) -> tuple[Rows, History]:
        """Return the lengths of these histories, and their items one after the other."""
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        first = data.histories.offsets[self.user[rows]] - (ends - lengths)
        return lengths, data.histories.items[np.repeat(first, lengths) + np.arange(ends[-1])]


@dataclass(frozen=True)
class TargetCounts:
    """How much is asked, and how much of it nothing can hit.

    Attributes:
        users: users with a target.
        targets: all of them.
        unknown: those that training has not seen, which count as misses.
        seen: those that are no candidates, since they are in the history that they are predicted from.
        most: targets of the user who has most.
    """

    users: int
    targets: int
    unknown: int
    seen: int
    most: int


def asked_targets(data: Split, split: SplitName, protocol: EvaluationProtocol) -> AskedTargets:
    """Return what is measured: the targets of a split, or the drawn ones."""
    examples = _sample(data.validation if split == "validation" else data.test, protocol)
    if protocol.average == "examples":
        targets = data.targets(examples)
        return AskedTargets(examples, targets, np.arange(len(examples)), examples.user, examples.cut)
    targets = data.targets(examples)
    item = np.where(targets == UNKNOWN, -1 - np.arange(len(examples)), targets)  # what is not known may be anything
    first = np.sort(np.unique(np.stack([examples.user, item]), axis=1, return_index=True)[1])
    examples, targets = Examples(examples.user[first], examples.cut[first]), targets[first]
    users, group = np.unique(examples.user, return_inverse=True)
    lengths = np.full(len(users), np.iinfo(np.int64).max)  # all that is before the first target
    np.minimum.at(lengths, group, examples.cut)
    return AskedTargets(examples, targets, group, users, lengths)


def rules_of(protocol: EvaluationProtocol) -> Rules:
    """Return which items are candidates under a protocol."""
    return Rules(remove_seen=protocol.remove_seen)


def count_targets(data: Split, split: SplitName, protocol: EvaluationProtocol) -> TargetCounts:
    """Count what an evaluation will ask, without scoring anything; all are 0 where the split has no example."""
    asked, rules = asked_targets(data, split, protocol), rules_of(protocol)
    seen = np.zeros(len(asked), np.bool_)
    read = np.cumsum(asked.lengths[asked.group])
    start = 0
    while start < len(asked):
        stop = max(start + 1, int(np.searchsorted(read, read[start] + PIECE)))
        found = rules.seen(*asked.flat(data, asked.group[start:stop]))
        if found is not None:
            rows, codes = found
            seen[start + rows[codes == asked.targets[start + rows]]] = True
        start = stop
    of_user = np.bincount(asked.examples.user)
    return TargetCounts(
        users=int(np.sum(of_user > 0)),
        targets=len(asked),
        unknown=int(np.sum(asked.targets == UNKNOWN)),
        seen=int(seen.sum()),
        most=int(of_user.max(initial=0)),
    )


def _sample(examples: Examples, protocol: EvaluationProtocol) -> Examples:
    """Draw `max_examples` examples, or users with all of theirs, in their order; all if there are no more."""
    if protocol.max_examples is None:
        return examples
    of = examples.user if protocol.average == "users" else np.arange(len(examples))
    different = np.unique(of)
    if protocol.max_examples >= len(different):
        return examples
    random = np.random.default_rng(protocol.sample_seed)
    drawn = np.isin(of, different[random.choice(len(different), protocol.max_examples, replace=False)])
    return Examples(examples.user[drawn], examples.cut[drawn])
