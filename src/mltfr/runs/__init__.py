"""Run folders: what a fitted recommender looks like on disk, and how it comes about."""

from mltfr.runs.config import EvaluationConfig, RunConfig
from mltfr.runs.fit import fit
from mltfr.runs.fitted import Fitted, load_fitted, save_fitted
from mltfr.runs.folder import check_new
from mltfr.runs.presets import resolve

__all__ = ["EvaluationConfig", "Fitted", "RunConfig", "check_new", "fit", "load_fitted", "resolve", "save_fitted"]
