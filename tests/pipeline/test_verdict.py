"""Where a run stands: the quick baselines beside it, the comparison with the best, and the words for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.evaluation import Evaluation, EvaluationProtocol, Ranks, rank_metrics
from mltfr.evaluation.comparison import Pair
from mltfr.evaluation.significance import PairedTest, paired_test, per_user
from mltfr.pipeline import quick_baselines, resolve
from mltfr.pipeline.branches import Branches
from mltfr.pipeline.report_metrics import score
from mltfr.pipeline.score_difference import ScoreDifference
from mltfr.pipeline.training_end import End, end_of
from mltfr.pipeline.verdict import RunVerdict, make_verdict
from mltfr.training import Callback
from support.walks import as_log, rows, walks

LOG = as_log(rows(walks()))
SMALL = ("backbone.hidden=16", "backbone.max_length=10", "training.batch_size=32", "training.samples=positions")


def fit(backbone: str = "sasrec", *settings: str, epochs: int = 1) -> Recommender:
    recommender = Recommender(backbone, fusion="none", epochs=epochs, settings=settings)
    return recommender.fit(LOG, callback=Callback())


@pytest.fixture(scope="module")
def short() -> Recommender:
    return fit("sasrec", *SMALL)


def test_the_baselines_score_as_runs_of_their_own(short):
    for name, scores in short.metrics["baselines"].items():
        alone = fit(name).metrics
        assert scores == {"test": alone["metrics"], "validation": alone["validation"]["metrics"]}
    assert list(short.metrics["baselines"]) == ["popularity", "markov", "item-knn"]
    assert short.metrics["popularity"] == short.metrics["baselines"]["popularity"]["test"]


def test_the_best_on_validation_is_compared_user_by_user(short):
    found = short.metrics["baselines"]
    best = max(found, key=lambda name: found[name]["validation"]["ndcg@10"])
    verdict = short.fitted.verdict
    test = paired_test(*(per_user(one.evaluate(), "ndcg@10") for one in (short, fit(best))))
    numbers = (test.difference, test.low, test.high, test.t_test)
    assert verdict.baseline == ScoreDifference(best, found[best]["test"]["ndcg@10"], *numbers)
    assert verdict.baseline.worse
    assert verdict.end == End(epochs=1, best_epoch=1, cut_off=True)
    assert verdict.branches is None  # there is no fusion
    lines = str(verdict).splitlines()
    assert lines[0].startswith(f"Worse than {best}, the best quick baseline on validation: test ndcg@10 0.")
    assert lines[1] == "Training was cut off after epoch 1; epoch 1 was best, and it was still getting better."
    assert lines[2] == f"Next, try more epochs (--epochs 4); --backbone {best}, as long as nothing beats it."


def test_the_baseline_is_chosen_on_validation_alone():
    protocol = EvaluationProtocol(split="leave-one-out")

    def scores(validation: int, test: int) -> dict[str, Evaluation]:
        """Return evaluations of four users whose targets are at these ranks."""
        found = {}
        for split, rank in (("validation", validation), ("test", test)):
            ranks = Ranks(np.full(4, rank - 1), np.zeros(4, np.int64))
            values = rank_metrics(ranks, protocol.metrics, protocol.cutoffs)
            means = {name: float(value.mean()) for name, value in values.items()}
            found[split] = Evaluation(split, protocol, np.arange(4), ranks, values, means, 0, "digest")
        return found

    config, beside = resolve(backbone="ease"), {"markov": scores(2, 4), "item-knn": scores(4, 2)}
    verdict = make_verdict(config, scores(1, 3), beside, None, None, {})
    assert verdict.baseline.name == "markov"
    assert verdict.baseline.better


def test_patience_is_no_cut(short):
    verdict = fit("sasrec", *SMALL, "training.patience=1", "training.learning_rate=1", epochs=50).fitted.verdict
    assert not verdict.end.cut_off
    assert verdict.end.best_epoch < verdict.end.epochs
    assert "Training stopped by itself after epoch" in str(verdict)


def test_a_run_is_not_put_beside_itself():
    found = fit("markov")
    assert list(found.metrics["baselines"]) == ["popularity", "item-knn"]
    assert found.fitted.verdict.end is None
    popularity = fit("popularity")
    assert list(popularity.metrics["baselines"]) == ["markov", "item-knn"]
    assert popularity.metrics["popularity"] == popularity.metrics["metrics"]


def test_without_baselines_popularity_stays():
    found = fit("markov", "evaluation.baselines=false")
    assert list(found.metrics["baselines"]) == ["popularity"]
    assert str(found.fitted.verdict).startswith("Better than popularity: test ndcg@10 0.")
    alone = fit("popularity", "evaluation.baselines=false")
    assert (alone.metrics["baselines"], alone.fitted.verdict.baseline) == ({}, None)


def test_what_would_take_long_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(quick_baselines, "MOST_SECONDS", 0.0)
    found = fit("popularity")
    assert found.metrics["baselines"] == {}
    assert set(found.fitted.verdict.skipped) == {"markov", "item-knn"}
    text = "item-knn was not fitted: it would take about 0 s here (mltfr baselines fits it)."
    assert text in str(found.fitted.verdict)


def test_what_takes_seconds_is_said(monkeypatch):
    monkeypatch.setattr(quick_baselines, "SAID_FROM", 0.0)
    heard: list[str] = []
    callback = Callback()
    monkeypatch.setattr(callback, "message", heard.append)
    Recommender("popularity").fit(LOG, callback=callback)
    assert heard[-1] == "fitting markov, item-knn to compare with (about 0 s; --no-baselines leaves them out)"


def test_weights_that_fill_the_memory_are_left_out(monkeypatch):
    fitted = fit("popularity").fitted
    cells = {name: quick_baselines.cost_of(name, fitted.split, fitted.protocol())[1] for name in ("markov", "item-knn")}
    assert min(cells.values()) > 10
    monkeypatch.setattr(quick_baselines, "MOST_CELLS", 10)
    assert fit("popularity").metrics["baselines"] == {}


def test_the_cost_grows_with_what_is_multiplied():
    fitted = fit("popularity").fitted
    seconds, cells = quick_baselines.cost_of("item-knn", fitted.split, fitted.protocol())
    assert 0 < seconds < 0.1
    assert 0 < cells <= len(fitted.split.vocabulary) ** 2
    sampled = fitted.protocol().model_copy(update={"max_examples": 1})
    assert quick_baselines.cost_of("markov", fitted.split, sampled)[0] < quick_baselines.cost_of(
        "markov", fitted.split, fitted.protocol()
    )[0]


def test_the_runs_of_a_study_pay_nothing(monkeypatch):
    fitted = fit("popularity").fitted
    monkeypatch.setattr("mltfr.pipeline.report_metrics.fit_beside", None)
    assert not {"baselines", "verdict"} & set(score(fitted, None))


def test_numbers_come_back_from_json(short):
    assert RunVerdict.from_json(short.fitted.verdict.to_json()) == short.fitted.verdict
    assert RunVerdict.from_json(short.metrics["verdict"]) == short.fitted.verdict


BETTER, WORSE = (0.02, 0.01, 0.03, 0.001), (-0.02, -0.03, -0.01, 0.001)
UNDECIDED = (0.01, -0.01, 0.03, 0.3)
BASE = RunVerdict("sasrec", "mltfr", "ndcg@10", 0.06, end=End(20, 15, cut_off=False))
WORDS = {
    "better": (BETTER, ["Better than markov, the best quick baseline", "Next, see whether it holds for other seeds"]),
    "unclear": (UNDECIDED, ["Undecided against markov", "difference +0.0100 a user (95 % interval -0.0100 to +0.0300).",
                            "Next, take --backbone markov, which costs seconds"]),
    "worse": (WORSE, ["Worse than markov", "Next, try --backbone markov, as long as nothing beats it."]),
}  # fmt: skip


@pytest.mark.parametrize("case", WORDS)
def test_words(case):
    baseline, texts = WORDS[case]
    verdict = dataclasses.replace(BASE, baseline=ScoreDifference("markov", 0.05, *baseline))
    for text in texts:
        assert text in str(verdict)


@pytest.mark.parametrize("case", WORDS)
def test_new_items_are_left_to_what_can_keep_them(case):
    """Neither a baseline nor a blend keeps items that training has not seen, so neither is advised."""
    branches = Branches(0.06, ScoreDifference("zero branch", 0.05, *UNDECIDED))
    baseline = ScoreDifference("name-knn", 0.05, *WORDS[case][0])
    said = str(dataclasses.replace(BASE, baseline=baseline, branches=branches, new_items=True))
    assert "name-knn, the quick baseline that can rank these items" in said
    assert "--backbone" not in said
    assert "mltfr blend" not in said


def test_epochs_of_both_rounds_count_for_what_to_try_next():
    history = [{"round": number, "epoch": epoch} for number, most in ((1, 2), (2, 4)) for epoch in range(1, most + 1)]
    end = end_of(history, best_epoch=4, patience=5)
    assert end is not None
    assert (end, end.trained) == (End(4, 4, cut_off=True, before=2), 6)
    lines = str(dataclasses.replace(BASE, end=end)).splitlines()
    assert "Training was cut off after epoch 4 of round 2; epoch 4 was best, and it was still getting better." in lines
    assert lines[-1].startswith("Next, try more epochs (--epochs 24)")


def test_users_with_several_examples_count_once_and_that_is_said():
    split = ("split.method=global-time", "split.validation_from=5", "split.test_from=7")
    found = fit("markov", *split)
    verdict, test, alone = found.fitted.verdict, found.evaluate(), fit("item-knn", *split).evaluate()
    assert (verdict.users, verdict.examples) == (len(set(test.user)), len(test.user))
    assert verdict.users < verdict.examples
    assert verdict.baseline.name == "item-knn"
    assert verdict.baseline.difference == (per_user(test, "ndcg@10") - per_user(alone, "ndcg@10")).mean()
    over = f"against {alone.metrics['ndcg@10']:.4f} over {verdict.examples} examples, difference "
    assert over in str(verdict)
    assert f" a user, each of {verdict.users} users counting once (95 % interval " in str(verdict)


def test_few_users_decide_nothing():
    few = ScoreDifference("markov", 0.05, *BETTER[:3], p=0.21)
    assert not few.better
    assert not few.worse
    said = str(dataclasses.replace(BASE, baseline=few))
    assert "Undecided against markov" in said
    assert "(95 % interval +0.0100 to +0.0300; p = 0.21: too few users to tell)" in said


@pytest.mark.parametrize("p", [0.049, 0.051])
@pytest.mark.parametrize(("low", "high"), [(-0.001, 0.04), (0.0, 0.04), (0.001, 0.04)])
def test_a_fit_and_a_comparison_of_runs_decide_alike(p, low, high):
    pair = Pair("run", "markov", "ndcg@10", 0.06, PairedTest(0.02, low, high, p, p), p)
    ahead = ScoreDifference("markov", 0.04, 0.02, low, high, p)
    behind = ScoreDifference("markov", 0.08, -0.02, -high, -low, p)
    assert ahead.better is behind.worse is (pair.verdict == "better") is (p < 0.05)
    assert not ahead.worse
    assert not behind.better
    said = str(dataclasses.replace(BASE, baseline=ahead))
    assert ("; p = 0.049 decides)" in said) is (p < 0.05 and low <= 0)


def test_a_single_user_allows_no_comparison():
    log = as_log(rows({"u": ["a", "b", "c", "d"], "v": ["a"], "w": ["b"]}))
    found = Recommender("markov").fit(log, callback=Callback())
    assert found.fitted.verdict.baseline is None
    assert str(found.fitted.verdict).startswith("Next, try a backbone")
