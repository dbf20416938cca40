"""What a fusion brings, on validation: the numbers, the one line, and what to do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mltfr import Recommender
from mltfr.evaluation.significance import paired_test, per_user
from mltfr.pipeline.branches import Branches
from mltfr.pipeline.score_difference import ScoreDifference
from mltfr.pipeline.training_end import End
from mltfr.pipeline.verdict import RunVerdict
from mltfr.training import Callback
from support.walks import as_log, rows, walks

WALKS = walks()
LOG = as_log(rows(WALKS))
NAMES = {item: f"chocolate {item}" for item in sorted({item for walk in WALKS.values() for item in walk})}
OF_ALL = ("backbone.hidden=16", "backbone.max_length=10", "training.batch_size=32", "training.samples=positions")
OF_MLTFR = ("fusion.filter.shortlist=16", "fusion.filter.keep=4", "tokens.width=8", "fusion.consensus_weight=0")
LATER = as_log([(user, walk[0], 100 + n) for n, (user, walk) in enumerate(list(WALKS.items())[:20])])


def fit(fusion: str = "mltfr", *more: str, log: Any = LOG, **arguments: Any) -> Recommender:
    bare = fusion in ("none", "constant")
    settings = (*OF_ALL, *(() if bare else OF_MLTFR), *more)
    tokens = None if bare else ["synthetic"]
    recommender = Recommender("sasrec", fusion=fusion, tokens=tokens, settings=settings, **{"epochs": 1, **arguments})
    return recommender.fit(log, callback=Callback())


@pytest.fixture(scope="module")
def fitted() -> Recommender:
    return fit()


def line_of(verdict: RunVerdict) -> str:
    """Return the one line on the fusion; "" without one."""
    found = [line for line in str(verdict).splitlines() if line.startswith("Fusion ")]
    assert len(found) <= 1
    return "".join(found)


def test_both_are_compared_on_validation_user_by_user(fitted: Recommender) -> None:
    found, model = fitted.fitted.verdict.branches, fitted.fitted
    own, without = fitted.evaluate("validation"), fitted.evaluate("validation", zero_branch=True)
    test = paired_test(per_user(own, "ndcg@10"), per_user(without, "ndcg@10"))
    numbers = (test.difference, test.low, test.high, test.t_test)
    assert found.score == own.metrics["ndcg@10"]
    assert found.zero == ScoreDifference("zero_branch", without.metrics["ndcg@10"], *numbers)
    assert model.metrics["validation"]["zero_branch"] == dict(without.metrics)
    assert model.metrics["zero_branch"] == dict(fitted.evaluate(zero_branch=True).metrics)  # test, for tables
    assert found.zero.score != model.metrics["zero_branch"]["ndcg@10"]
    assert found.constant.score == model.metrics["validation"]["constant_branch"]["ndcg@10"]
    assert RunVerdict.from_json(fitted.metrics["verdict"]) == model.verdict
    line = line_of(model.verdict)
    assert f"validation ndcg@10 {found.score:.4f}, without it {found.zero.score:.4f} (difference " in line
    assert f", with a constant in its place {found.constant.score:.4f} (difference " in line


BETTER, WORSE = (0.02, 0.01, 0.03, 0.001), (-0.02, -0.03, -0.01, 0.001)
UNDECIDED, SAME = (0.01, -0.01, 0.03, 0.3), (0.0, 0.0, 0.0, 1.0)
NOTHING, MAY = "brings nothing that shows on this log: ", "What may help: item names (--item-names FILE)"
CONSTANT = "helps, but not visibly more than a constant on this log: "
NOT_READ = "What helps is a constant, not what is read in tables or histories. What may help more: item names"
CASES: dict[str, tuple[Any, Any, str, str]] = {
    "helps": (BETTER, BETTER, "helps on this log: ", ")."),
    "helps, and is a constant by its nature": (BETTER, None, "helps on this log: ", ")."),
    "nothing": (UNDECIDED, UNDECIDED, NOTHING, f"{MAY}, a blend with markov (mltfr blend)."),
    "exactly nothing": (SAME, SAME, NOTHING, f"{MAY}, a blend with markov (mltfr blend)."),
    "nothing, by its nature a constant": (UNDECIDED, None, NOTHING, f"{MAY}, a blend with markov (mltfr blend)."),
    "nothing, though a constant harms": (UNDECIDED, BETTER, NOTHING, f"{MAY}, a blend with markov (mltfr blend)."),
    "a constant": (BETTER, UNDECIDED, CONSTANT, f"{NOT_READ} (--item-names FILE), a blend with markov (mltfr blend)."),
    "a better constant": (BETTER, WORSE, CONSTANT, "a blend with markov (mltfr blend)."),
    "harms": (WORSE, UNDECIDED, "harms on this log: ", "). Use --fusion none."),
    "harms, though a constant harms more": (WORSE, BETTER, "harms on this log: ", "). Use --fusion none."),
}


def verdict_of(zero: Any, constant: Any, **more: Any) -> RunVerdict:
    first = ScoreDifference("zero_branch", 0.05, *zero)
    second = ScoreDifference("constant_branch", 0.06, *constant) if constant is not None else None
    baseline, end = ScoreDifference("markov", 0.05, *BETTER), End(20, 15, cut_off=False)
    base = RunVerdict("sasrec", "mltfr", "ndcg@10", 0.06, baseline, branches=Branches(0.07, first, second), end=end)
    return dataclasses.replace(base, **more)


@pytest.mark.parametrize("case", CASES)
def test_one_line_says_it_and_what_to_do(case: str) -> None:
    zero, constant, begins, ends = CASES[case]
    verdict = verdict_of(zero, constant)
    line = line_of(verdict)
    numbers = f"validation ndcg@10 0.0700, without it 0.0500 (difference {zero[0]:+.4f} a user, 95 % interval "
    assert line.startswith(f"Fusion mltfr {begins}{numbers}")
    if constant is not None:
        assert f"), with a constant in its place 0.0600 (difference {constant[0]:+.4f} a user, 95 % interval " in line
    assert line.count("(difference ") == (1 if constant is None else 2)
    assert line.endswith(ends)
    assert "What may help" not in verdict.standing
    assert "--fusion" not in verdict.standing
    assert ("Next, see whether it holds for other seeds" in str(verdict)) == (begins == "helps on this log: ")


def test_only_what_the_run_lacks_is_named() -> None:
    def nothing(**more: Any) -> str:
        return line_of(verdict_of(UNDECIDED, UNDECIDED, **more)).partition("). ")[2]

    popularity = ScoreDifference("popularity", 0.05, *BETTER)
    assert nothing() == f"{MAY}, a blend with markov (mltfr blend)."
    assert nothing(named=True) == "What may help: a blend with markov (mltfr blend)."
    assert nothing(baseline=popularity) == f"{MAY}."
    assert nothing(baseline=None) == f"{MAY}."
    assert nothing(named=True, baseline=popularity) == ""
    assert nothing(backbone="blend") == "What may help: members with item names."
    assert nothing(backbone="blend", named=True) == ""
    harm = line_of(verdict_of(WORSE, UNDECIDED, backbone="blend"))
    assert harm.endswith("Blend runs of --fusion none.")


@pytest.mark.parametrize("fusion", ["constant", "capacity-history", "random", "shuffled"])
def test_a_control_says_what_it_brings(fusion: str) -> None:
    verdict = fit(fusion).fitted.verdict
    assert (verdict.branches.constant is None) == (fusion == "constant")
    assert line_of(verdict).startswith(f"Fusion {fusion} ")


def test_names_are_known_to_the_verdict_of_a_run_and_of_a_blend(fitted: Recommender) -> None:
    named = fit("none", item_names=NAMES)
    assert (named.fitted.verdict.named, fitted.fitted.verdict.named) == (True, False)
    assert line_of(named.fitted.verdict) == ""  # what names bring, no control of one run says
    blend = Recommender.blend([fitted, named], callback=Callback())
    verdict, without = blend.fitted.verdict, blend.evaluate("validation", zero_branch=True)
    assert verdict.named
    assert verdict.branches.zero.score == without.metrics["ndcg@10"]
    assert line_of(verdict).startswith("Fusion mltfr ")


def test_baselines_and_bare_backbones_have_no_branches() -> None:
    for found in (Recommender("markov").fit(LOG, callback=Callback()), fit("none")):
        assert found.fitted.verdict.branches is None
        assert not {"zero_branch", "constant_branch"} & set(found.metrics["validation"])
        assert line_of(found.fitted.verdict) == ""


def test_two_rounds_kept_are_judged_as_one_model() -> None:
    kept = fit("mltfr", "fusion.consensus_weight=0.1", "training.keep_rounds=true", epochs=2)
    without = kept.evaluate("validation", zero_branch=True)
    assert kept.fitted.verdict.branches.zero.score == without.metrics["ndcg@10"]
    assert line_of(kept.fitted.verdict).startswith("Fusion mltfr ")


def test_an_update_is_judged_where_it_has_a_validation_split(fitted: Recommender) -> None:
    other = Recommender(config=fitted.config)
    other._fitted = fitted._fitted
    histories = other.update(LATER, callback=Callback())
    assert "validation" not in histories.metrics
    assert "zero_branch" in histories.metrics
    assert histories.fitted.verdict.branches is None
    assert line_of(histories.fitted.verdict) == ""
    other._fitted = fitted._fitted
    trained = other.update(LATER, epochs=1, callback=Callback())
    assert trained.metrics["validation"]["zero_branch"]
    assert line_of(trained.fitted.verdict).startswith("Fusion mltfr ")


def test_a_verdict_of_before_says_nothing_of_its_fusion(fitted: Recommender) -> None:
    """Its zero branch was compared on test, which decides nothing."""
    document = fitted.fitted.verdict.to_json()
    del document["branches"], document["named"]
    before = {**document["baseline"], "name": "zero branch"}
    old = {**document, "zero_branch": before, "constant_branch": None, "validation_score": None}
    verdict = RunVerdict.from_json(old)
    assert verdict.branches is None
    assert line_of(verdict) == ""
    assert str(verdict).startswith(str(fitted.fitted.verdict).splitlines()[0])


def test_a_single_user_allows_no_line() -> None:
    log = as_log(rows({"u": ["a", "b", "c", "d"], "v": ["a"], "w": ["b"]}))
    assert fit(log=log).fitted.verdict.branches is None
