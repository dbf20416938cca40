"""Preset `default` of MLTFR: the method, the shortlists, and what is logged of it."""

from mltfr.fusion.mltfr.model import MltfrConfig, MltfrFusion

__all__ = ["MltfrConfig", "MltfrFusion"]
