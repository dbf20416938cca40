"""Comparing evaluations: which is better in words, what is undecided, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mltfr.errors import ConfigError, DataError, ProtocolError
from mltfr.evaluation import Evaluation, EvaluationProtocol, Ranks
from mltfr.evaluation.comparison import Pair, compare
from mltfr.evaluation.significance import PairedTest, holm, paired_test, per_user

PROTOCOL = EvaluationProtocol(split="leave-one-out")


def evaluation(values: np.ndarray | list[float], user: list[int] | None = None, **changes: object) -> Evaluation:
    """Return an evaluation that has these values of NDCG@10, and others of the other metrics."""
    user = list(range(len(values))) if user is None else user
    nothing = np.zeros(len(user), np.int64)
    settings = {"split": "test", "protocol": PROTOCOL, "unknown_targets": 0, "examples_digest": "one", **changes}
    per_example = {name: np.zeros(len(user)) for name in PROTOCOL.metric_names} | {"ndcg@10": np.array(values, float)}
    means = {name: float(found.mean()) for name, found in per_example.items()}
    return Evaluation(user=np.array(user), ranks=Ranks(nothing, nothing), per_example=per_example, metrics=means,
                      **settings)  # fmt: skip


def noisy(shift: float, noise: float, users: int = 400) -> np.ndarray:
    random = np.random.default_rng(int(shift * 1e6))
    return 0.3 + 0.1 * np.sin(np.arange(users)) + shift + noise * random.normal(size=users)


def test_the_better_one_is_named_with_its_lead_whichever_comes_first() -> None:
    better, worse = evaluation(noisy(0.05, 0.1)), evaluation(noisy(0, 0.1))
    found = compare({"mltfr": worse, "bare": better}, "ndcg@10")
    (pair,) = found.pairs
    test = paired_test(better.per_example["ndcg@10"], worse.per_example["ndcg@10"])
    assert (pair.first, pair.second, pair.verdict, pair.test, pair.p) == ("bare", "mltfr", "better", test, test.t_test)
    assert str(pair) == (
        f"bare is better than mltfr by {test.difference:.4f} ndcg@10, "
        f"95 % interval {test.low:.4f} to {test.high:.4f}; p < 0.0001."
    )
    assert list(found.evaluations) == ["bare", "mltfr"]
    assert compare({"bare": better, "mltfr": worse}).pairs == found.pairs


def test_a_wide_interval_is_undecided_and_only_a_narrow_one_is_a_draw() -> None:
    wide = compare({"a": evaluation(noisy(0.001, 0.2)), "b": evaluation(noisy(0, 0.2))}).pairs[0]
    assert wide.verdict == "undecided"
    assert str(wide).startswith("Undecided between ")
    assert f"; p = {wide.p:.2g}." in str(wide)
    narrow = compare({"a": evaluation(noisy(0.0001, 0.005)), "b": evaluation(noisy(0, 0.005))}).pairs[0]
    assert narrow.verdict == "as good"
    assert " are as good: " in str(narrow)
    assert max(-narrow.test.low, narrow.test.high) < 0.01 * narrow.score < max(-wide.test.low, wide.test.high)
    same = compare({"a": evaluation([0.5, 0.1]), "b": evaluation([0.5, 0.1])}).pairs[0]
    assert str(same) == "a and b have the same ndcg@10 for every user."


def test_several_pairs_are_corrected_by_holm() -> None:
    runs = {name: evaluation(noisy(shift, 0.1)) for name, shift in (("a", 0), ("b", 0.02), ("c", 0.021))}
    found = compare(runs)
    alone = {(pair.first, pair.second): pair.test.t_test for pair in found.pairs}
    assert len(alone) == 3
    assert {(pair.first, pair.second): pair.p for pair in found.pairs} == holm(alone)
    assert all("after Holm over 3 pairs." in str(pair) for pair in found.pairs)


@pytest.mark.parametrize(("p", "low", "high", "verdict"), [
    (0.049, 0.001, 0.2, "better"), (0.051, 0.001, 0.2, "undecided"), (0.5, -0.01, 0.001, "undecided"),
    (0.5, -0.001, 0.01, "undecided"), (0.5, -0.003, 0.003, "as good"), (0.04, 0.0, 0.003, "better"),
])  # fmt: skip
def test_the_verdict_is_by_p_after_holm_and_by_both_ends(p: float, low: float, high: float, verdict: str) -> None:
    assert Pair("a", "b", "hr@10", 0.3, PairedTest(0.0, low, high, 0.01, 0.01), p, 3).verdict == verdict


def test_as_text_it_is_a_table_and_sentences_of_80_columns() -> None:
    runs = {"a-run-with-a-name-longer-than-most-of-them": evaluation(noisy(0.05, 0.1)), "b": evaluation(noisy(0, 0.1))}
    text = str(compare(runs))
    lines = text.split("\n")
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["run", "ndcg@10", "hr@10", "mrr@10", "hr@5", "hr@20"]
    assert lines[1].startswith("...") is (len(lines[1].split()[0]) < 42)
    assert lines[2].split()[:2] == ["b", f"{runs['b'].metrics['ndcg@10']:.4f}"]
    assert f"400 users of the test split; protocol {PROTOCOL.hash}" in " ".join(text.split())
    assert repr(compare(runs)) == text


def test_a_user_with_several_examples_counts_by_their_mean() -> None:
    first, second = evaluation([1, 0, 1, 1], [3, 3, 7, 9]), evaluation([0, 0, 1, 0], [3, 3, 7, 9])
    assert per_user(first, "ndcg@10").tolist() == [0.5, 1, 1]
    found = compare({"first": first, "second": second})
    assert found.pairs[0].test.difference == pytest.approx(0.5)
    assert "differences are those of 3 users and the table is the mean of 4 examples" in " ".join(str(found).split())


def test_document() -> None:
    found = compare({"b": evaluation(noisy(0, 0.1)), "a": evaluation(noisy(0.05, 0.1))})
    document = json.loads(json.dumps(found.to_json()))
    assert {key: document[key] for key in ("metric", "split", "users", "protocol_hash")} == {
        "metric": "ndcg@10", "split": "test", "users": 400, "protocol_hash": PROTOCOL.hash,
    }  # fmt: skip
    assert list(document["runs"]) == ["a", "b"]
    assert document["runs"]["a"] == found.evaluations["a"].metrics
    assert list(document["pairs"][0]) == [
        "first", "second", "verdict", "difference", "low", "high", "t_test", "wilcoxon", "p",
    ]  # fmt: skip


def test_only_like_is_compared_with_like() -> None:
    first = evaluation([1, 0])
    kept = EvaluationProtocol(split="leave-one-out", remove_seen=False)
    with pytest.raises(ProtocolError, match="remove_seen is True in a, False in b"):
        compare({"a": first, "b": evaluation([1, 0], protocol=kept)})
    with pytest.raises(ProtocolError, match="a was measured on test, b on validation"):
        compare({"a": first, "b": evaluation([1, 0], split="validation")})
    with pytest.raises(ProtocolError, match="a and b were measured on different examples"):
        compare({"a": first, "b": evaluation([1, 0], examples_digest="two")})
    with pytest.raises(ConfigError, match=r"Unknown metric 'ndgc@10'. Did you mean 'ndcg@10'\? Known: hr@10, hr@20"):
        compare({"a": first, "b": first}, "ndgc@10")
    with pytest.raises(ConfigError, match="needs at least two evaluations, got 1"):
        compare({"a": first})
    with pytest.raises(DataError, match="needs the same users twice, at least 2"):
        compare({"a": evaluation([1]), "b": evaluation([0])})
