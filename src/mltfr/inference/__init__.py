"""Streaming scores and top-k over all items."""

from mltfr.inference.approximate import IndexReport
from mltfr.inference.batches import History, length_sorted_batches, pad_right_aligned
from mltfr.inference.fallback import FallbackScorer, has_known_item
from mltfr.inference.notices import notices
from mltfr.inference.requests import ItemList, Requests, codes_of_list, requests_of_histories, requests_of_users
from mltfr.inference.retriever import INDEXES, Retriever, check_index
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer, Scorer
from mltfr.inference.table import recommendation_table
from mltfr.inference.top_k import TopK, top_k

__all__ = [
    "INDEXES",
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
    "check_index",
    "codes_of_list",
    "has_known_item",
    "length_sorted_batches",
    "notices",
    "pad_right_aligned",
    "recommendation_table",
    "requests_of_histories",
    "requests_of_users",
    "top_k",
]
