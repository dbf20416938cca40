"""A grid of runs, compared with each other: planned, run in processes, resumed, gathered."""

from mltfr.study.cell import Cell, Group
from mltfr.study.config import StudyConfig, load_study
from mltfr.study.plan import make_plan
from mltfr.study.run import Outcome, run_study

__all__ = ["Cell", "Group", "Outcome", "StudyConfig", "load_study", "make_plan", "run_study"]
