"""From settings and a log to a fitted recommender and its run folder."""

from mltfr.pipeline.artifact import check_new, load_artifact, load_inference_model, open_run, save_artifact
from mltfr.pipeline.config import EvaluationConfig, RunConfig
from mltfr.pipeline.fit import estimate_fit, fit
from mltfr.pipeline.fitted import FittedModel, InferenceModel
from mltfr.pipeline.inputs import read_new_rows
from mltfr.pipeline.presets import resolve
from mltfr.pipeline.update import to_evaluate, update

__all__ = [
    "EvaluationConfig",
    "FittedModel",
    "InferenceModel",
    "RunConfig",
    "check_new",
    "estimate_fit",
    "fit",
    "load_artifact",
    "load_inference_model",
    "open_run",
    "read_new_rows",
    "resolve",
    "save_artifact",
    "to_evaluate",
    "update",
]
