"""Full-ranking evaluation of a scorer on the validation or the test split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError, ProtocolError
from mltfr.evaluation.asked import SplitName, asked_targets, rules_of
from mltfr.evaluation.beyond_accuracy import beyond_accuracy
from mltfr.evaluation.metrics import Values, rank_metrics
from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.evaluation.ranks import MISS, Ranks, rank_targets
from mltfr.evaluation.slices import Mask, length_slices, popularity_slices
from mltfr.evaluation.target_sets import target_set_metrics
from mltfr.inference import Scorer, TopK
from mltfr.interactions import UNKNOWN, Examples, Split
from mltfr.storage.progress import SILENT, Progress

Shard = Callable[[int, Callable[[slice], Ranks]], Ranks]
"""Ranks in several processes: called with the number of examples and a function that ranks a slice of them."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured, example by example and on average.

    With `protocol.average = "users"`, a user with all of the targets is one example.

    Attributes:
        split: where the targets were held out.
        protocol: how it was measured.
        user: int64 `[E]`, row in `Split.histories` of every example.
        ranks: the rank of every target: one an example, or as many as a user has, user by user.
        per_example: `{"hr@5": [E], ...}`.
        metrics: their means.
        unknown_targets: targets that training has not seen.
        examples_digest: SHA-256 of users, history lengths, targets and candidates; equal if evaluations may be paired.
        beyond_accuracy: coverage, Gini, novelty and popularity bias of the top lists.
        slices: metrics and number of examples by target popularity and by history length.
    """

    split: SplitName
    protocol: EvaluationProtocol
    user: npt.NDArray[np.int64]
    ranks: Ranks
    per_example: Mapping[str, Values]
    metrics: Mapping[str, float]
    unknown_targets: int
    examples_digest: str
    beyond_accuracy: Mapping[str, float] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    @property
    def seen_targets(self) -> int:
        """Targets that are no candidates, since they are in the history that they are predicted from."""
        return int(np.sum(self.ranks.higher == MISS)) - self.unknown_targets

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        users = len(np.unique(self.user))
        return f"Evaluation({self.split}, {users} users, {metrics}, protocol {self.protocol.hash})"

    def to_json(self, run: str | None = None) -> dict[str, Any]:
        """Return the document that `evaluate --json` prints, for the run folder called `run`."""
        document: dict[str, Any] = {
            "run": run,
            "split": self.split,
            "users": len(np.unique(self.user)),
            "examples": len(self.user),
            **({"targets": len(self.ranks.higher)} if self.protocol.average == "users" else {}),
            "unknown_targets": self.unknown_targets,
            "seen_targets": self.seen_targets,
            "protocol": self.protocol.document(),
            "protocol_hash": self.protocol.hash,
            "metrics": dict(self.metrics),
        }
        if self.beyond_accuracy:
            document["beyond_accuracy"] = dict(self.beyond_accuracy)
        if self.slices:
            document["slices"] = {by: {k: dict(v) for k, v in cut.items()} for by, cut in self.slices.items()}
        return document


def evaluate(
    scorer: Scorer,
    data: Split,
    split: SplitName,
    protocol: EvaluationProtocol | None = None,
    *,
    details: bool = False,
    progress: Progress = SILENT,
    shard: Shard | None = None,
) -> Evaluation:
    """Rank the target of every example of a split among all training items.

    Args:
        scorer: scores the items; its codes are those of the split's vocabulary.
        data: the interaction log, split.
        split: "validation" to choose by, "test" to report.
        protocol: how to measure; by default `EvaluationProtocol(split=data.method)`.
        details: whether to look at the top lists and at slices too; early stopping does without.
        progress: receives how many examples are ranked.
        shard: shards the examples over processes; without details only. None ranks all of them here.

    Raises:
        ProtocolError: the protocol is for another kind of split.
        DataError: the split holds no example, or the run was shared without its users.
        MltfrError: a score is not a number.
    """
    protocol = protocol or EvaluationProtocol(split=data.method)
    if protocol.split != data.method:
        raise ProtocolError(f"The protocol is for '{protocol.split}', but the split is '{data.method}'.")
    data.require_users("Nothing is held out in it; its scores are in metrics.json and README.md.")
    asked = asked_targets(data, split, protocol)
    if not len(asked):
        raise DataError(
            f"The {split} split holds no example: every history is too short, or the run was refitted on all of its "
            "log. Use a longer log, or the run before the refit."
        )
    progress.start("evaluating", len(asked))
    targets, group, lengths = asked.targets, asked.group, asked.lengths  # [T], [T], [E]
    histories = asked.histories(data, np.arange(len(lengths)))

    def rank(some: slice) -> tuple[Ranks, TopK]:
        rows, of = np.unique(group[some], return_inverse=True)
        return rank_targets(
            scorer,
            [histories[row] for row in rows],
            targets[some],
            rules_of(protocol),
            of=of,
            lists=max(protocol.cutoffs) if details else 0,
            progress=progress,
        )

    if shard is not None and not details:
        ranks, top = shard(len(targets), lambda some: rank(some)[0]), TopK.empty(0, 0)
    else:
        ranks, top = rank(slice(None))
    per_example = _measure(ranks, group, protocol)
    evaluation = Evaluation(
        split=split,
        protocol=protocol,
        user=asked.user,
        ranks=ranks,
        per_example=per_example,
        metrics=_means(per_example),
        unknown_targets=int(np.sum(targets == UNKNOWN)),
        examples_digest=_digest(data, asked.examples),
    )
    if not details:
        return evaluation
    counts = data.vocabulary.counts
    return replace(
        evaluation,
        beyond_accuracy=beyond_accuracy(top, counts, protocol.cutoffs),
        slices={
            "target_popularity": _sliced(ranks, group, protocol, popularity_slices(targets, counts)),
            "history_length": _sliced(ranks, group, protocol, length_slices(lengths[group])),
        },
    )


def _measure(ranks: Ranks, group: npt.NDArray[np.int64], protocol: EvaluationProtocol) -> dict[str, Values]:
    """Return every metric of the examples that these targets belong to."""
    if protocol.average == "examples":
        return rank_metrics(ranks, protocol.metrics, protocol.cutoffs)
    return target_set_metrics(ranks, group, protocol.metrics, protocol.cutoffs)


def examples_digest(data: Split, split: SplitName, protocol: EvaluationProtocol) -> str:
    """Return the `Evaluation.examples_digest` that an evaluation will have, without scoring anything."""
    return _digest(data, asked_targets(data, split, protocol).examples)


def _digest(data: Split, examples: Examples) -> str:
    """Return the SHA-256 of the examples' users, history lengths and targets, and of the candidates."""
    digest = hashlib.sha256()
    users = [data.user_ids[row] for row in examples.user]
    for facts in (data.method, users, data.vocabulary.item_ids, examples.cut.tolist()):
        digest.update(json.dumps(facts).encode())
    digest.update(np.ascontiguousarray(data.targets(examples), "<i4").tobytes())
    return digest.hexdigest()


def _means(per_example: Mapping[str, Values]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in per_example.items()}


def _sliced(
    ranks: Ranks, group: npt.NDArray[np.int64], protocol: EvaluationProtocol, slices: Mapping[str, Mask]
) -> dict[str, dict[str, float]]:
    """Return the means of every slice that has targets, after the number of their examples; other targets are none."""
    found = {}
    for name, mask in slices.items():
        if mask.any():
            values = _measure(Ranks(ranks.higher[mask], ranks.tied[mask]), group[mask], protocol)
            found[name] = {"examples": len(np.unique(group[mask])), **_means(values)}
    return found
