"""How a metric was measured. Metrics are comparable if, and only if, their protocols are equal."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PositiveInt

from mltfr.config import Config
from mltfr.errors import ProtocolError
from mltfr.evaluation.metrics import USUAL, MetricName, metric_names
from mltfr.interactions.clock import with_dates

Average = Literal["examples", "users"]

DEFINITIONS: dict[Average, dict[MetricName, str]] = {
    "examples": {
        "hr": "target in the first k",
        "ndcg": "1 / log2(rank + 1), 0 beyond k",  # one target, so the ideal DCG is 1
        "mrr": "1 / rank, 0 beyond k",
        "recall": "hr, with one target",
        "precision": "hr / k, with one target",
        "map": "mrr, with one target",
    },
    "users": {
        "hr": "a target in the first k",
        "ndcg": "DCG of the targets in the first k / DCG of the best order",
        "mrr": "1 / rank of the first target, 0 beyond k",
        "recall": "targets in the first k / targets",
        "precision": "targets in the first k / k",
        "map": "mean over users of: sum of the precision at the targets in the first k / min(k, targets)",
    },
}
"""What the metrics mean, by what they are the mean over."""
LISTS = "one a user, from the history before the first target; an item is one target, however often it comes"
"""What is ranked where metrics are the mean over users."""


def _ascending(cutoffs: tuple[int, ...]) -> tuple[int, ...]:
    if list(cutoffs) != sorted(set(cutoffs)):
        raise ValueError(f"cutoffs must be ascending and different, got {list(cutoffs)}")
    return cutoffs


def _in_order(metrics: tuple[MetricName, ...]) -> tuple[MetricName, ...]:
    """Return the metrics in the order of their definitions: the order in which they are given means nothing."""
    return tuple(name for name in DEFINITIONS["examples"] if name in metrics)


Cutoffs = Annotated[tuple[PositiveInt, ...], Field(min_length=1), AfterValidator(_ascending)]
Metrics = Annotated[tuple[MetricName, ...], Field(min_length=1), AfterValidator(_in_order)]


class EvaluationProtocol(Config):
    """Everything that decides what a metric means, apart from the split (validation, test) it is measured on."""

    split: str
    """How the interaction log was split (`Split.method`)."""
    candidates: Literal["all training items", "all training items and new ones"] = "all training items"
    """Items that the target is ranked among; new ones have a name, and no training history holds them."""
    remove_seen: bool = True
    """Whether items of the history are no candidates; a target among them is a miss."""
    ties: Literal["expected over orders"] = "expected over orders"
    """What equal scores count: the mean over all orders of the tied items."""
    unknown_targets: Literal["miss"] = "miss"
    """What a target counts that training has not seen."""
    average: Average = "examples"
    """What a metric is the mean over: examples of one target each, or users with all of their targets."""
    metrics: Metrics = USUAL
    """The metrics; `document` defines them."""
    cutoffs: Cutoffs = (5, 10, 20)
    """The values of k, ascending."""
    max_examples: PositiveInt | None = None
    """Examples, or users, measured at most, drawn at random; all if not set."""
    sample_seed: int = Field(0, ge=0)
    """Seed of that draw."""

    @property
    def metric_names(self) -> list[str]:
        """Name of every metric that is measured: "hr@5" to "mrr@20"."""
        return metric_names(self.metrics, self.cutoffs)

    def document(self) -> dict[str, Any]:
        """Return all settings by name, with the definition of every metric in place of `metrics`."""
        document: dict[str, Any] = {}
        for name, value in self.model_dump(mode="json").items():
            document |= self._definitions() if name == "metrics" else {name: value}
        return document

    def _definitions(self) -> dict[str, str]:
        lists = {} if self.average == "examples" else {"lists": LISTS}
        return lists | {name: DEFINITIONS[self.average][name] for name in self.metrics}

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the settings as canonical JSON."""
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_same(
    first: EvaluationProtocol, second: EvaluationProtocol, names: tuple[str, str] = ("one", "the other")
) -> None:
    """Check that numbers of two protocols may be compared.

    Args:
        first: how the one was measured.
        second: how the other was.
        names: what the message calls the two.

    Raises:
        ProtocolError: they may not; the message names every setting that differs.
    """
    a, b = ({**one.document(), "split": with_dates(one.split)} for one in (first, second))
    differences = [f"{key} is {a.get(key)!r} in {names[0]}, {b.get(key)!r} in {names[1]}"
                   for key in {**a, **b} if a.get(key) != b.get(key)]  # fmt: skip
    if differences:
        raise ProtocolError(
            f"These numbers were measured by different protocols ({first.hash}, {second.hash}): "
            f"{'; '.join(differences)}. Evaluate both by the same one."
        )
