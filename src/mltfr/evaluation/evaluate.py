"""Full-ranking evaluation of a scorer on the validation or the test split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError, ProtocolError
from mltfr.evaluation.beyond_accuracy import beyond_accuracy
from mltfr.evaluation.metrics import Values, rank_metrics
from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.evaluation.ranks import Ranks, rank_targets
from mltfr.evaluation.slices import Mask, length_slices, popularity_slices
from mltfr.inference import Rules, Scorer, TopK
from mltfr.interactions import UNKNOWN, Examples, Split
from mltfr.storage.progress import SILENT, Progress

SplitName = Literal["validation", "test"]
"""A split with held-out items."""
Shard = Callable[[int, Callable[[slice], Ranks]], Ranks]
"""Ranks in several processes: called with the number of examples and a function that ranks a slice of them."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured, example by example and on average.

    Attributes:
        split: where the targets were held out.
        protocol: how it was measured.
        user: int64 `[E]`, row in `Split.histories` of every example.
        ranks: the target's rank in every example.
        per_example: `{"hr@5": [E], ...}`.
        metrics: their means.
        unknown_targets: examples whose target training has not seen.
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
            "unknown_targets": self.unknown_targets,
            "protocol": self.protocol.model_dump(mode="json"),
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
        DataError: the split holds no example.
        MltfrError: a score is not a number.
    """
    protocol = protocol or EvaluationProtocol(split=data.method)
    if protocol.split != data.method:
        raise ProtocolError(f"The protocol is for '{protocol.split}', but the split is '{data.method}'.")
    examples = _sample(data.validation if split == "validation" else data.test, protocol)
    if not len(examples):
        raise DataError(f"The {split} split holds no example: every history is too short. Use a longer log.")
    progress.start("evaluating", len(examples))
    targets = data.targets(examples)                                     # [E]
    starts = data.histories.offsets[examples.user]
    histories = [data.histories.items[s : s + cut] for s, cut in zip(starts, examples.cut, strict=True)]

    def rank(examples: slice) -> tuple[Ranks, TopK]:
        return rank_targets(
            scorer,
            histories[examples],
            targets[examples],
            Rules(remove_seen=protocol.remove_seen),
            lists=max(protocol.cutoffs) if details else 0,
            progress=progress,
        )

    if shard is not None and not details:
        ranks, top = shard(len(targets), lambda examples: rank(examples)[0]), TopK.empty(0, 0)
    else:
        ranks, top = rank(slice(None))
    per_example = rank_metrics(ranks, protocol.cutoffs)
    evaluation = Evaluation(
        split=split,
        protocol=protocol,
        user=examples.user,
        ranks=ranks,
        per_example=per_example,
        metrics=_means(per_example),
        unknown_targets=int(np.sum(targets == UNKNOWN)),
        examples_digest=_digest(data, examples),
    )
    if not details:
        return evaluation
    counts = data.vocabulary.counts
    return replace(
        evaluation,
        beyond_accuracy=beyond_accuracy(top, counts, protocol.cutoffs),
        slices={
            "target_popularity": _sliced(per_example, popularity_slices(targets, counts)),
            "history_length": _sliced(per_example, length_slices(examples.cut)),
        },
    )


def _sample(examples: Examples, protocol: EvaluationProtocol) -> Examples:
    """Draw `max_examples` examples, in their order; all if there are no more."""
    if protocol.max_examples is None or protocol.max_examples >= len(examples):
        return examples
    random = np.random.default_rng(protocol.sample_seed)
    drawn = np.sort(random.choice(len(examples), protocol.max_examples, replace=False))
    return Examples(examples.user[drawn], examples.cut[drawn])


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


def _sliced(per_example: Mapping[str, Values], slices: Mapping[str, Mask]) -> dict[str, dict[str, float]]:
    """Return the means of every slice that has examples, after their number."""
    return {
        name: {"examples": int(mask.sum()), **_means({k: values[mask] for k, values in per_example.items()})}
        for name, mask in slices.items()
        if mask.any()
    }
