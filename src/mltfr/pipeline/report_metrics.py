"""The scores that every run reports, measured once, after everything is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from scipy.sparse import csr_array

from mltfr.baselines import BASELINES
from mltfr.evaluation import Evaluation, evaluate
from mltfr.inference import FallbackScorer, Scorer
from mltfr.names.texts import ItemTexts
from mltfr.pipeline.branches import CONSTANT, ZERO, compare_branches
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import BLEND, BlendModel
from mltfr.pipeline.names import run_name_words
from mltfr.pipeline.quick_baselines import QUICK, QUICK_WITH_NAMES, fit_beside, quick_baselines
from mltfr.pipeline.training_end import end_of
from mltfr.pipeline.verdict import TEST, VALIDATION, make_verdict
from mltfr.storage.progress import SILENT, Progress
from mltfr.training import Callback


def score(
    fitted: FittedModel, run: str | None, heard: Callable[[Evaluation], None] = lambda _: None
) -> dict[str, Any]:
    """Return the document of `metrics.json`: test, and beside it what a reader needs to judge it.

    Beside the test score stand the validation score, the zero-branch score (the same model with the fusion's
    correction set to zero; baselines have none) and popularity. On validation stands the zero branch, too, and the
    constant branch, with the mean of the correction in its place: by these two it is judged what the fusion brings.

    Args:
        fitted: the model and its data.
        run: the run folder's name, for the document.
        heard: called with the run's evaluation on test, which has the scores of every example.
    """
    document, own, _ = _score(fitted, run)
    heard(own[TEST])
    tested = fitted.for_test()
    popularity = evaluate(tested.popularity(), tested.split, "test", tested.protocol())
    return {**document, "popularity": dict(popularity.metrics)}


def score_and_judge(
    fitted: FittedModel,
    run: str | None,
    callback: Callback,
    parent: FittedModel | None = None,
    texts: ItemTexts | None = None,
    alone: bool = False,
) -> dict[str, Any]:
    """Return the document of `score` with the scores of the quick baselines and the verdict on the run.

    Where an update trains nothing, nothing is held out to choose among the baselines: popularity and the one that the
    run before was compared with stand beside it.

    Args:
        fitted: the model and its data.
        run: the run folder's name, for the document.
        callback: told where the baselines take a while, and how far scoring is.
        parent: the run that it is an update of; None for a fit.
        texts: what is said about the items, where the run uses it and it is at hand.
        alone: whether nothing but popularity is scored beside it: no other baseline, and no member of a blend.
    """
    document, own, branches = _score(fitted, run, callback)
    words = _words(texts, fitted) if fitted.config.evaluation.baselines else None
    names: Sequence[str] = QUICK[:1] if alone else QUICK if words is None else QUICK_WITH_NAMES
    chosen = None
    if parent is not None and VALIDATION not in own:
        before = parent.verdict.baseline if parent.verdict is not None else None
        chosen = before.name if before is not None else "popularity"
        if BASELINES.get(chosen).cls.reads_names:  # they are not read again
            chosen = "popularity"
        names = list(dict.fromkeys(("popularity", chosen)))
    taken, skipped = quick_baselines(fitted, callback, names, words)
    beside = {name: _evaluations(partial(_beside, name, texts), fitted, callback) for name in taken}
    metrics = {
        name: {split: dict(evaluation.metrics) for split, evaluation in scores.items()}
        for name, scores in beside.items()
    }
    popularity = metrics["popularity"]["test"] if "popularity" in metrics else document["metrics"]
    trained = fitted.history[len(parent.history) :] if parent is not None else fitted.history
    end = end_of(trained, fitted.facts.get("best_epoch", 0), fitted.config.training.patience)
    member = None if alone else _best_member(fitted, callback)
    brings = compare_branches(own.get(VALIDATION), branches, fitted.config.judged_by)
    verdict = make_verdict(fitted.config, own, beside, brings, end, skipped, chosen, member)
    if member is not None:
        document["best_member"] = {"run": member[0], "metrics": dict(member[1].metrics)}
    return {**document, "popularity": popularity, "baselines": metrics, "verdict": verdict.to_json()}


def _best_member(fitted: FittedModel, progress: Progress) -> tuple[str, Evaluation] | None:
    """Return a blend's member that was best on validation, by name, and its evaluation on test; None without one."""
    model, facts = fitted.model, fitted.facts.get(BLEND)
    if not isinstance(model, BlendModel) or len(model.members) < 2 or facts is None or facts["best"] is None:
        return None
    scorer = FallbackScorer(model.members[facts["best"]].scorer(), fitted.popularity())
    found = evaluate(scorer, fitted.split, "test", fitted.protocol(), progress=progress)
    return facts["members"][facts["best"]]["run"], found


def score_validation(fitted: FittedModel, run: str | None) -> dict[str, Any]:
    """Return the validation score alone, for choosing settings: test stays unseen.

    Args:
        fitted: the model and its data.
        run: the run folder's name, for the document.
    """
    return evaluate(fitted.scorer(), fitted.split, "validation", fitted.protocol()).to_json(run)


def _score(
    fitted: FittedModel, run: str | None, progress: Progress = SILENT
) -> tuple[dict[str, Any], dict[str, Evaluation], dict[str, Evaluation]]:
    """Return the document without popularity, the run's evaluations by split, and those of its branches."""
    own, tested = _evaluations(FittedModel.scorer, fitted, progress, details=True), fitted.for_test()
    document, branches = own[TEST].to_json(run), _branches(fitted, progress)
    if VALIDATION in own:
        of_branches = {name: dict(evaluation.metrics) for name, evaluation in branches.items()}
        document["validation"] = {**own[VALIDATION].to_json(run), **of_branches}
    if (scorer := tested.zero_branch()) is not None:
        without = own[TEST]  # without a fusion, the run is its own zero branch
        if fitted.config.fusions != "none":
            without = evaluate(scorer, tested.split, "test", tested.protocol(), progress=progress)
        document["zero_branch"] = dict(without.metrics)
    return document, own, branches


def _branches(fitted: FittedModel, progress: Progress) -> dict[str, Evaluation]:
    """Return the evaluations on validation of what a fusion is judged by; none without one, or without the split."""
    if fitted.config.fusions == "none" or not len(fitted.split.validation):
        return {}
    scorers = {ZERO: fitted.zero_branch(), CONSTANT: fitted.constant_branch()}
    return {
        name: evaluate(scorer, fitted.split, "validation", fitted.protocol(), progress=progress)
        for name, scorer in scorers.items()
        if scorer is not None
    }


def _evaluations(
    scorer_of: Callable[[FittedModel], Scorer], fitted: FittedModel, progress: Progress, details: bool = False
) -> dict[str, Evaluation]:
    """Return the evaluations of a scorer by split: test, and validation where it has examples."""
    tested, scorer, how = fitted.for_test(), scorer_of(fitted), {"details": details, "progress": progress}
    test_scorer = scorer if tested is fitted else scorer_of(tested)
    found = {TEST: evaluate(test_scorer, tested.split, "test", tested.protocol(), **how)}  # type: ignore[arg-type]
    if len(fitted.split.validation):
        found[VALIDATION] = evaluate(scorer, fitted.split, "validation", fitted.protocol(), **how)  # type: ignore[arg-type]
    return found


def _beside(name: str, texts: ItemTexts | None, fitted: FittedModel) -> Scorer:
    words = _words(texts, fitted) if BASELINES.get(name).cls.reads_names else None
    return fit_beside(name, fitted.split, words)


def _words(texts: ItemTexts | None, fitted: FittedModel) -> csr_array | None:
    """Return the weights of the words of items, `[I, U]`; None without names. What stands beside a control is none."""
    if texts is None:
        return None
    names = fitted.config.names.model_copy(update={"control": "none"})
    return run_name_words(fitted.config.model_copy(update={"names": names}), texts, fitted.split.vocabulary)[0]
