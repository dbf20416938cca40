"""Preset `default` of MLTFR: the method, the shortlists, and what is logged of it."""

from mltfr.fusion.mltfr.config import MltfrConfig
from mltfr.fusion.mltfr.model import MltfrFusion

__all__ = ["MltfrConfig", "MltfrFusion"]
