"""Sequence encoders, one file each, unaware of fusions, losses and data."""

from mltfr.backbones.base import BACKBONES, Backbone, BackboneConfig, register_backbone

__all__ = ["BACKBONES", "Backbone", "BackboneConfig", "register_backbone"]
