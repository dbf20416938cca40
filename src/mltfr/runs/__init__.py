"""Run folders: what a fitted recommender looks like on disk, and how it comes about."""

from mltfr.runs.config import EvaluationConfig, RunConfig
from mltfr.runs.estimate import Estimate
from mltfr.runs.fit import estimate_fit, fit
from mltfr.runs.fitted import Fitted, Served, load_fitted, load_served, save_fitted
from mltfr.runs.folder import check_new
from mltfr.runs.presets import resolve

__all__ = [
    "Estimate",
    "EvaluationConfig",
    "Fitted",
    "RunConfig",
    "Served",
    "check_new",
    "estimate_fit",
    "fit",
    "load_fitted",
    "load_served",
    "resolve",
    "save_fitted",
]
