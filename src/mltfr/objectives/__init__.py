"""Training objectives, one file each: what a step adds to the loss of the next item."""

from mltfr.objectives.base import OBJECTIVES, Objective, ObjectiveConfig, register_objective
from mltfr.objectives.pool import Pool

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig", "Pool", "register_objective"]
