"""Score items for histories, select the best under rules, and recommend."""

from mltfr.inference.blend import BlendScorer, ProbabilityScorer
from mltfr.inference.index import IndexReport
from mltfr.inference.recommend import INDEXES, RecommendationSpec, Retriever, answer, recommend
from mltfr.inference.requests import Requests, UnknownUsers, requests_of, require_known
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import FallbackScorer, ModelScorer, Scorer
from mltfr.inference.shortfalls import Listed, Shortfalls
from mltfr.inference.similar import similar_items
from mltfr.inference.top_k import TopK, top_k

__all__ = [
    "INDEXES",
    "BlendScorer",
    "FallbackScorer",
    "IndexReport",
    "Listed",
    "ModelScorer",
    "ProbabilityScorer",
    "RecommendationSpec",
    "Requests",
    "Retriever",
    "Rules",
    "Scorer",
    "Shortfalls",
    "TopK",
    "UnknownUsers",
    "answer",
    "recommend",
    "requests_of",
    "require_known",
    "similar_items",
    "top_k",
]
