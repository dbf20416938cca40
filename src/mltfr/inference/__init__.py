"""Streaming scores and top-k over all items."""

from mltfr.inference.batches import History, length_sorted_batches, pad_right_aligned
from mltfr.inference.fallback import FallbackScorer, has_known_item
from mltfr.inference.requests import Requests, requests_of_histories, requests_of_users
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer, PopularityScorer, Scorer
from mltfr.inference.top_k import TopK, top_k

__all__ = [
    "FallbackScorer",
    "History",
    "ModelScorer",
    "PopularityScorer",
    "Requests",
    "Rules",
    "Scorer",
    "TopK",
    "has_known_item",
    "length_sorted_batches",
    "pad_right_aligned",
    "requests_of_histories",
    "requests_of_users",
    "top_k",
]
