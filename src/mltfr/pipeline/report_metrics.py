"""The scores that every run reports, measured once, after everything is chosen."""

from __future__ import annotations

from typing import Any

from mltfr.evaluation import evaluate
from mltfr.pipeline.fitted import FittedModel


def score(fitted: FittedModel, run: str | None) -> dict[str, Any]:
    """Return the document of `metrics.json`: test, and beside it what a reader needs to judge it.

    Beside the test score stand the validation score, the zero-branch score (the same model with the fusion's
    correction set to zero: if it is as good, the fusion contributes nothing; baselines have none) and popularity.

    Args:
        fitted: the model and its data.
        run: the run folder's name, for the document.
    """
    split, protocol, scorer = fitted.split, fitted.protocol(), fitted.scorer()
    document = evaluate(scorer, split, "test", protocol, details=True).to_json(run)
    if len(split.validation):
        document["validation"] = evaluate(scorer, split, "validation", protocol, details=True).to_json(run)
    zero_branch = fitted.zero_branch()
    if zero_branch is not None:
        document["zero_branch"] = dict(evaluate(zero_branch, split, "test", protocol).metrics)
    document["popularity"] = dict(evaluate(fitted.popularity(), split, "test", protocol).metrics)
    return document


def score_validation(fitted: FittedModel, run: str | None) -> dict[str, Any]:
    """Return the validation score alone, for choosing settings: test stays unseen.

    Args:
        fitted: the model and its data.
        run: the run folder's name, for the document.
    """
    return evaluate(fitted.scorer(), fitted.split, "validation", fitted.protocol()).to_json(run)
