"""Interaction logs: readers, checks, filters, splits, vocabulary, statistics."""

from mltfr.interactions.histories import PADDING, UNKNOWN, Histories
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.vocabulary import Vocabulary

__all__ = ["PADDING", "UNKNOWN", "Examples", "Histories", "Split", "Vocabulary"]
