"""The protocol and its hash."""

from __future__ import annotations

import pytest

from mltfr.errors import ConfigError, ProtocolError
from mltfr.evaluation import EvaluationProtocol, require_same


def test_hash_is_stable_and_sensitive_to_every_setting() -> None:
    protocol = EvaluationProtocol(split="leave-one-out")
    assert protocol.hash == EvaluationProtocol.parse(protocol.model_dump(mode="json")).hash
    assert protocol.hash == "759a0c0d2df5930d"
    changes = {
        "split": "leave-last-2",
        "remove_seen": False,
        "cutoffs": (5, 10),
        "max_examples": 100,
        "sample_seed": 1,
    }
    hashes = {protocol.model_copy(update={name: value}).hash for name, value in changes.items()}
    assert len(hashes | {protocol.hash}) == len(changes) + 1


def test_different_protocols_are_not_compared() -> None:
    kept = EvaluationProtocol(split="leave-one-out", remove_seen=False)
    removed = EvaluationProtocol(split="leave-one-out")
    require_same(kept, EvaluationProtocol(split="leave-one-out", remove_seen=False))
    with pytest.raises(ProtocolError, match=r"remove_seen is False in one, True in the other\. Evaluate both"):
        require_same(kept, removed)


def test_cutoffs_are_ascending() -> None:
    with pytest.raises(ConfigError, match=r"cutoffs must be ascending and different, got \[10, 5\]"):
        EvaluationProtocol.parse({"split": "leave-one-out", "cutoffs": [10, 5]})
