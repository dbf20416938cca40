"""Streaming scores and top-k over all items."""

from mltfr.inference.answers import answer, say_what_was_skipped
from mltfr.inference.approximate import IndexReport
from mltfr.inference.batches import History, length_sorted_batches, pad_right_aligned
from mltfr.inference.fallback import FallbackScorer, has_known_item
from mltfr.inference.requests import ItemList, Requests, codes_of_list, requests_of_histories, requests_of_users
from mltfr.inference.retriever import Retriever
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer, Scorer
from mltfr.inference.top_k import TopK, top_k

__all__ = [
    "FallbackScorer",
    "History",
    "IndexReport",
    "ItemList",
    "ModelScorer",
    "Requests",
    "Retriever",
    "Rules",
    "Scorer",
    "TopK",
    "answer",
    "codes_of_list",
    "has_known_item",
    "length_sorted_batches",
    "pad_right_aligned",
    "requests_of_histories",
    "requests_of_users",
    "say_what_was_skipped",
    "top_k",
]
