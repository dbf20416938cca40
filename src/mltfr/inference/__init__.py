"""Score items for histories, select the best under rules, and recommend."""

from mltfr.inference.index import IndexReport
from mltfr.inference.recommend import INDEXES, RecommendationSpec, Retriever, recommend
from mltfr.inference.requests import Requests, requests_of_histories, requests_of_users
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import FallbackScorer, ModelScorer, Scorer
from mltfr.inference.shortfalls import Listed, Shortfalls
from mltfr.inference.table import similarity_table
from mltfr.inference.top_k import TopK, top_k

__all__ = [
    "INDEXES",
    "FallbackScorer",
    "IndexReport",
    "Listed",
    "ModelScorer",
    "RecommendationSpec",
    "Requests",
    "Retriever",
    "Rules",
    "Scorer",
    "Shortfalls",
    "TopK",
    "recommend",
    "requests_of_histories",
    "requests_of_users",
    "similarity_table",
    "top_k",
]
