"""Interaction logs: readers, checks, filters, splits, vocabulary, statistics."""

from mltfr.interactions.histories import PADDING, UNKNOWN, Histories
from mltfr.interactions.load import FORMATS, load_interactions
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splitters import SplitConfig, split
from mltfr.interactions.vocabulary import Vocabulary

__all__ = [
    "FORMATS",
    "PADDING",
    "UNKNOWN",
    "Examples",
    "Histories",
    "InteractionLog",
    "Split",
    "SplitConfig",
    "Vocabulary",
    "load_interactions",
    "split",
]
