"""Plug-ins that turn token tables into a correction of a backbone's hidden states."""

from mltfr.fusion.base import FUSIONS, Fusion, FusionConfig, FusionInputs, TwoRoundFusion, register_fusion

__all__ = ["FUSIONS", "Fusion", "FusionConfig", "FusionInputs", "TwoRoundFusion", "register_fusion"]
