"""Evaluate by full ranking: protocols, ranks, metrics and significance."""

from mltfr.evaluation.asked import SplitName
from mltfr.evaluation.evaluate import Evaluation, evaluate
from mltfr.evaluation.metrics import rank_metrics
from mltfr.evaluation.protocol import EvaluationProtocol, require_same
from mltfr.evaluation.ranks import Ranks, rank_targets

__all__ = [
    "Evaluation",
    "EvaluationProtocol",
    "Ranks",
    "SplitName",
    "evaluate",
    "rank_metrics",
    "rank_targets",
    "require_same",
]
