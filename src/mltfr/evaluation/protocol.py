"""How a metric was measured. Metrics are comparable if, and only if, their protocols are equal."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from mltfr.config import Config
from mltfr.errors import ProtocolError


class EvaluationProtocol(Config):
    """Everything that decides what a metric means, apart from the split (validation, test) it is measured on."""

    split: str
    """How the interaction log was split (`Split.method`)."""
    candidates: Literal["all training items"] = "all training items"
    """Items that the target is ranked among."""
    remove_seen: bool = True
    """Whether items of the history are no candidates; a target among them is a miss."""
    ties: Literal["expected over orders"] = "expected over orders"
    """What equal scores count: the mean over all orders of the tied items."""
    unknown_targets: Literal["miss"] = "miss"
    """What a target counts that training has not seen."""
    average: Literal["examples"] = "examples"
    """What a metric is the mean over."""
    hr: Literal["target in the first k"] = "target in the first k"
    """Definition of HR@k."""
    ndcg: Literal["1 / log2(rank + 1), 0 beyond k"] = "1 / log2(rank + 1), 0 beyond k"
    """Definition of NDCG@k: one target, so the ideal DCG is 1."""
    mrr: Literal["1 / rank, 0 beyond k"] = "1 / rank, 0 beyond k"
    """Definition of MRR@k."""
    cutoffs: tuple[PositiveInt, ...] = Field((5, 10, 20), min_length=1)
    """The values of k, ascending."""
    max_examples: PositiveInt | None = None
    """Examples measured at most, drawn at random; all if not set."""
    sample_seed: int = Field(0, ge=0)
    """Seed of that draw."""

    @field_validator("cutoffs")
    @classmethod
    def _ascending(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        if list(cutoffs) != sorted(set(cutoffs)):
            raise ValueError(f"cutoffs must be ascending and different, got {list(cutoffs)}")
        return cutoffs

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the settings as canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_same(first: EvaluationProtocol, second: EvaluationProtocol) -> None:
    """Check that numbers of two protocols may be compared.

    Raises:
        ProtocolError: they may not; the message names every setting that differs.
    """
    a, b = first.model_dump(), second.model_dump()
    differences = [f"{key} is {a[key]!r} in one, {b[key]!r} in the other" for key in a if a[key] != b[key]]
    if differences:
        raise ProtocolError(
            f"These numbers were measured by different protocols ({first.hash}, {second.hash}): "
            f"{'; '.join(differences)}. Evaluate both by the same one."
        )
