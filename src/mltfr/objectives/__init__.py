"""Training objectives, one file each: what a step adds to the loss of the next item."""

from mltfr.objectives.base import OBJECTIVES, Objective, ObjectiveConfig, register_objective

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig", "register_objective"]
