"""Run folders: what a fitted recommender looks like on disk, and how it comes about."""

from mltfr.pipeline.config import EvaluationConfig, RunConfig
from mltfr.pipeline.fit import estimate_fit, fit
from mltfr.pipeline.fitted import Fitted, Served, load_fitted, load_served, save_fitted
from mltfr.pipeline.folder import check_new
from mltfr.pipeline.presets import resolve

__all__ = [
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
