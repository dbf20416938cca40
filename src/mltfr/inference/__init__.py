"""Streaming scores and top-k over all items."""

from mltfr.inference.approximate import IndexReport
from mltfr.inference.fallback import FallbackScorer
from mltfr.inference.lists import ItemList, ItemLists, read_lists
from mltfr.inference.notices import notices
from mltfr.inference.requests import Requests, requests_of_histories, requests_of_users
from mltfr.inference.retriever import INDEXES, Retriever, check_index
from mltfr.inference.rules import Rules
from mltfr.inference.scorer import ModelScorer, Scorer
from mltfr.inference.table import recommendation_table, similarity_table
from mltfr.inference.top_k import TopK, top_k

__all__ = [
    "INDEXES",
    "FallbackScorer",
    "IndexReport",
    "ItemList",
    "ItemLists",
    "ModelScorer",
    "Requests",
    "Retriever",
    "Rules",
    "Scorer",
    "TopK",
    "check_index",
    "notices",
    "read_lists",
    "recommendation_table",
    "requests_of_histories",
    "requests_of_users",
    "similarity_table",
    "top_k",
]
