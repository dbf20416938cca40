"""Interaction logs: readers, checks, filters, splits, vocabulary, statistics."""

from mltfr.interactions.collate import History, length_sorted_batches, pad_right_aligned
from mltfr.interactions.extend import extend
from mltfr.interactions.filters import FilterConfig, FilterReport, apply_filters
from mltfr.interactions.histories import PADDING, UNKNOWN, Histories
from mltfr.interactions.last_time import LastTime
from mltfr.interactions.load import load_interactions
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.new_rows import NewRows
from mltfr.interactions.prepare import prepare
from mltfr.interactions.prepared import PreparedSet
from mltfr.interactions.reading import ReadingConfig
from mltfr.interactions.sources import FORMATS
from mltfr.interactions.spaced import evenly_spaced
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splits import SplitConfig, split
from mltfr.interactions.statistics import Statistics, describe
from mltfr.interactions.vocabulary import Vocabulary

__all__ = [
    "FORMATS",
    "PADDING",
    "UNKNOWN",
    "Examples",
    "FilterConfig",
    "FilterReport",
    "Histories",
    "History",
    "InteractionLog",
    "LastTime",
    "NewRows",
    "PreparedSet",
    "ReadingConfig",
    "Split",
    "SplitConfig",
    "Statistics",
    "Vocabulary",
    "apply_filters",
    "describe",
    "evenly_spaced",
    "extend",
    "length_sorted_batches",
    "load_interactions",
    "pad_right_aligned",
    "prepare",
    "split",
]
