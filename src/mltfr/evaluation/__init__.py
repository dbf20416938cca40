"""Protocols, ranks, metrics and significance."""

from mltfr.evaluation.evaluate import Evaluation, Part, evaluate
from mltfr.evaluation.metrics import rank_metrics
from mltfr.evaluation.protocol import EvaluationProtocol, require_same
from mltfr.evaluation.ranks import Ranks, rank_targets

__all__ = [
    "Evaluation",
    "EvaluationProtocol",
    "Part",
    "Ranks",
    "evaluate",
    "rank_metrics",
    "rank_targets",
    "require_same",
]
