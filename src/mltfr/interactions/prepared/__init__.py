"""Prepared sets: a log read, checked, filtered and split once, which training maps from disk."""

from mltfr.interactions.prepared.layout import is_prepared
from mltfr.interactions.prepared.opened import Ids, PreparedSet, load_prepared
from mltfr.interactions.prepared.prepare import prepare
from mltfr.interactions.prepared.settings import PreparationConfig, memory_bytes
from mltfr.interactions.prepared.summary import PreparedStatistics, describe_prepared

__all__ = [
    "Ids",
    "PreparationConfig",
    "PreparedSet",
    "PreparedStatistics",
    "describe_prepared",
    "is_prepared",
    "load_prepared",
    "memory_bytes",
    "prepare",
]
