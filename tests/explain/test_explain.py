"""Explanations: contributions are what leaving an item out changes, or parts that sum; everything else stays."""

from __future__ import annotations

import json
import math
import warnings
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from mltfr import Recommender
from mltfr.baselines import BASELINES
from mltfr.baselines.popularity import Popularity
from mltfr.errors import ConfigError, DataError, MltfrWarning, RunError
from mltfr.explain import Explainer, Explanation
from mltfr.explain.contributions import contributions, rows_of
from mltfr.explain.orders import OWN, POPULAR, RECENT
from mltfr.explain.removal import ReadHistory, score
from mltfr.inference import FallbackScorer, ModelScorer, Rules
from mltfr.interactions import UNKNOWN
from mltfr.pipeline.models import NeuralModel
from mltfr.training import Callback
from support.networks import Network

ITEMS = 30
SMALL = ["backbone.hidden=16", "backbone.max_length=6", "training.samples=positions", "training.batch_size=64"]
LINEAR = tuple(BASELINES.names())


def log() -> pl.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", step)
        for user in range(60)
        for step, item in enumerate((random.integers(ITEMS) + np.cumsum(random.integers(1, 3, 9))) % ITEMS)
    ]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def fit(backbone: str, **more: Any) -> Recommender:
    network = {} if backbone in LINEAR else {"fusion": "none", "epochs": 3, "settings": SMALL, **more}
    if backbone == "name-knn":
        network["item_names"] = {f"i{n}": f"w{n % 5} w{n % 7}" for n in range(ITEMS)}
    return Recommender(backbone=backbone, **network).fit(log(), callback=Callback())


@pytest.fixture(scope="module")
def sasrec() -> Recommender:
    return fit("sasrec")


@pytest.fixture(scope="module", params=LINEAR)
def baseline(request: pytest.FixtureRequest) -> Recommender:
    return fit(request.param)


def test_parts_of_baselines_sum_to_the_score(baseline: Recommender) -> None:
    found = baseline.explain(["u0", "u7"], k=4)
    assert len(found) == 8
    for each in found:
        assert each.method == "exact parts"
        assert math.isclose(each.reference + each.sum_of_parts, each.score, abs_tol=1e-5)
        assert abs(each.interaction) < 1e-5
        assert each.sum_of_parts == pytest.approx(sum(one.value for one in each.contributions), abs=1e-5)
    units = {"popularity": "training interactions", "markov": "probability", "item-knn": "sum of similarities",
             "name-knn": "sum of cosines"}  # fmt: skip
    assert {each.unit for each in found} == {units.get(baseline.config.backbone.name, "sum of weights")}


def test_explanations_are_of_the_recommendations(sasrec: Recommender, baseline: Recommender) -> None:
    for recommender in (sasrec, baseline):
        asked = {"users": ["u3", "u1"], "k": 5, "deny": ["i4"]}
        found = recommender.explain(**asked)
        table = recommender.recommend(**asked)
        assert [(each.user_id, each.rank, each.item_id) for each in found] == table.select(
            "user_id", "rank", "item_id"
        ).rows()
        np.testing.assert_allclose([each.score for each in found], table["score"], atol=1e-5)


def test_leaving_one_out_is_the_difference_of_two_scores_to_the_bit(sasrec: Recommender) -> None:
    fitted = sasrec.fitted
    scorer = fitted.scorer()
    assert isinstance(scorer, FallbackScorer)
    history = ReadHistory.of(fitted.split.histories[0], 6)
    codes = np.arange(1, len(fitted.split.vocabulary) + 1)
    found = contributions(scorer, history, codes, np.zeros(len(codes) + 1, np.bool_))
    rows = rows_of(history)
    order = np.argsort([-len(row) for row in rows], kind="stable")
    plain = scorer.scorer.scores(scorer.scorer.queries([rows[row] for row in order]), 1, len(codes) + 1)
    plain = plain[torch.from_numpy(np.argsort(order))].numpy()           # [N + 2, I], as the rows are
    np.testing.assert_array_equal(found.values, plain[0] - plain[2:])
    np.testing.assert_array_equal(found.totals, plain[0] - plain[1])
    assert found.values.any(axis=1).all()


def test_ten_items_of_a_long_history_are_few_calls_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long that takes is measured by benchmarks/explain.py; what it takes are calls, of many histories each."""
    sasrec = fit("sasrec", settings=[*SMALL, "backbone.max_length=50"])
    calls: list[int] = []
    queries = ModelScorer.queries

    def counted(scorer: ModelScorer, histories: Any) -> Any:
        calls.append(len(histories))
        return queries(scorer, histories)

    monkeypatch.setattr(ModelScorer, "queries", counted)
    assert len(sasrec.explain(histories=[[f"i{n % 20}" for n in range(50)]], k=10)) == 10
    best, one_out, sets = calls
    assert (best, one_out) == (1, 22)                                    # as it is, empty, without each of 20
    assert sets <= 10 * (5 + 10) + 2 * 5


def test_sums_are_told(sasrec: Recommender) -> None:
    for each in sasrec.explain(["u5"], k=3):
        values = [one.value for one in each.contributions if one.read]
        assert values == sorted(values, reverse=True)
        assert each.sum_of_parts == pytest.approx(sum(values), abs=1e-5)
        assert each.total_effect == pytest.approx(each.score - each.reference)
        assert each.reference == 0
        assert each.interaction == pytest.approx(each.total_effect - each.sum_of_parts)
        assert (each.unit, each.method) == ("logit", "leave one out")


def test_the_exclusions_stay_when_an_item_is_removed() -> None:
    """Item 1 changes no score, and outscores item 2: ranks would move if it came back as a candidate."""
    vectors = torch.tensor([[0.0, 0], [0, 0], [-1, 0], [1, 1], [-2, 0]])
    scorer = FallbackScorer(ModelScorer(Network(vectors)), Popularity.of_counts(np.ones(5, np.int64)))
    codes = np.array([2, 4])
    forbidden = np.isin(np.arange(5), [1, 3])
    history = ReadHistory.of(np.array([1, 3], np.int32), 50)
    found = contributions(scorer, history, codes, forbidden)
    null = history.items.tolist().index(1)
    assert found.values[null].tolist() == [0, 0]
    assert found.without is not None
    assert found.without[null].tolist() == found.ranks.tolist() == [1, 2]
    back = score(scorer, [history.without([1])], codes, np.isin(np.arange(5), [3]))
    assert back.ranks[0].tolist() == [2, 3]  # what it would be otherwise


def test_ranks_are_those_of_the_list_equal_scores_too() -> None:
    vectors = torch.tensor([[0.0], [1], [2], [2], [3], [2]])
    scorer = FallbackScorer(ModelScorer(Network(vectors)), Popularity.of_counts(np.arange(6)))
    histories = [np.array([1], np.int32), np.zeros(0, np.int32)]
    found = score(scorer, histories, np.arange(1, 6), np.zeros(6, np.bool_))
    assert found.ranks.tolist() == [[5, 2, 3, 1, 4], [5, 4, 3, 2, 1]]  # of an empty history by popularity
    assert found.scores[1].tolist() == [0] * 5                           # whereas the network itself says 0


def test_what_is_older_than_the_window_contributes_nothing_and_does_not_move_up(sasrec: Recommender) -> None:
    window = [f"i{n}" for n in (7, 8, 9, 11, 12, 14)]
    long, short = ({"a": [*before, *window]} for before in (["i1", "i2"], []))
    for one, other in zip(sasrec.explain(histories=long, k=2, deny=["i1", "i2"]),
                          sasrec.explain(histories=short, k=2, deny=["i1", "i2"]), strict=True):  # fmt: skip
        read = [each for each in one.contributions if each.read]
        assert [(each.item_id, each.value) for each in read] == [
            (each.item_id, each.value) for each in other.contributions
        ]
        assert {each.item_id: each.value for each in one.contributions if not each.read} == {"i1": 0, "i2": 0}
        assert any("the newest 6 of 8 known places" in note for note in one.notes)
        assert not other.notes


def test_an_item_that_occurs_twice_is_removed_as_a_whole(sasrec: Recommender) -> None:
    each = sasrec.explain(histories=[["i3", "i5", "i3", "i6"]], items=["i7"])[0]
    assert {one.item_id: one.places for one in each.contributions} == {"i3": (1, 3), "i5": (2,), "i6": (4,)}
    scores = {
        len(left): sasrec.explain(histories=[left], items=["i7"])[0].score
        for left in (["i3", "i5", "i3", "i6"], ["i5", "i6"])
    }
    value = next(one.value for one in each.contributions if one.item_id == "i3")
    assert value == pytest.approx(scores[4] - scores[2], abs=1e-5)
    assert any("with all of its occurrences" in note for note in each.notes)


def test_the_smallest_set_drops_the_item_and_no_smaller_one_does(sasrec: Recommender) -> None:
    sizes = set()
    for start in range(8):
        history = [f"i{start + step}" for step in (0, 2, 3, 5, 6)]
        for each in sasrec.explain(histories=[history], k=3):
            found = each.smallest_set
            if found is None:
                continue
            sizes.add(len(found.items))
            for size in range(1, len(found.items) + 1):
                for left_out in combinations(history, size):
                    left = [item for item in history if item not in left_out]
                    if size < len(found.items) - 1 or (size < len(found.items) and size > 1) or not left:
                        continue  # larger sets are looked for among the items that carry most
                    kept = sasrec.recommend(histories=[left], k=3, deny=history)["item_id"].to_list()
                    if size < len(found.items):
                        assert each.item_id in kept
                    elif set(left_out) == set(found.items):
                        assert each.item_id not in kept
    assert {1, 2} <= sizes


def test_fidelity_is_told_beside_orders_that_know_nothing(sasrec: Recommender) -> None:
    each = sasrec.explain(["u2"], k=1)[0]
    assert list(each.fidelity) == [OWN, RECENT, POPULAR]
    read = [one for one in each.contributions if one.read]
    first = each.fidelity[OWN][0]
    assert first.items == (read[0].item_id,)
    assert first.score == pytest.approx(each.score - read[0].value, abs=1e-5)
    newest = max(read, key=lambda one: max(one.places))
    assert each.fidelity[RECENT][0].items == (newest.item_id,)
    assert [len(row.items) for row in each.fidelity[RECENT]] == list(range(1, min(5, len(read) - 1) + 1))


def test_a_popularity_fallback_is_explained_as_one(sasrec: Recommender) -> None:
    with pytest.warns(MltfrWarning, match="nothing"):
        found = sasrec.explain(histories={"new": ["nothing"]}, k=2)
    counts = sasrec.fitted.split.vocabulary.counts
    assert [each.score for each in found] == sorted(counts.tolist(), reverse=True)[:2]
    for each in found:
        assert (each.method, each.unit, each.contributions) == ("popularity", "training interactions", ())
        assert "the most popular items, the same for everybody" in each.notes[0]
        assert each.total_effect == each.sum_of_parts == 0


def test_items_may_be_named_and_those_of_the_history_are_no_candidates(sasrec: Recommender) -> None:
    history = ["i1", "i2", "i4"]
    one, other = sasrec.explain(histories=[history], items=["i2", "i5", "i2"], names={"i1": "One", "i5": "Five"})
    assert one.rank is None
    assert any("i2 is no candidate" in note for note in one.notes)
    assert (other.rank, other.name) != (None, None)
    assert {each.item_id: each.name for each in other.contributions} == {"i1": "One", "i2": None, "i4": None}
    again = sasrec.explain(histories=[history], items=["i2"], include_seen=True)[0]
    assert again.rank is not None


def test_users_alone_and_together_are_explained_alike_and_twice_the_same(sasrec: Recommender) -> None:
    together = sasrec.explain(["u9", "u4"], k=3)
    alone = [each for user in ("u9", "u4") for each in sasrec.explain([user], k=3)]
    assert together == alone == sasrec.explain(["u9", "u4"], k=3)


def test_an_explanation_is_a_document(sasrec: Recommender) -> None:
    each = sasrec.explain(["u9"], k=1)[0]
    document = json.loads(json.dumps(each.to_json(), allow_nan=False))
    assert set(document) == set(Explanation.__dataclass_fields__)
    assert document["contributions"][0]["item_id"] == each.contributions[0].item_id


def test_a_blends_members_sum_to_its_score(sasrec: Recommender) -> None:
    blend = Recommender.blend([sasrec, fit("ease")], [3, 1], callback=Callback())
    for each in blend.explain(["u2", "u8"], k=3):
        assert each.unit == "probability"
        members = [effect for effect in each.effects if "weight" in effect.without]
        assert len(members) == 2
        assert sum(effect.value for effect in members) == pytest.approx(each.score, abs=1e-6)


def test_the_zero_branch_is_the_effect_of_the_fusion() -> None:
    fitted = fit("sasrec", fusion="constant").fitted
    model = fitted.model
    assert isinstance(model, NeuralModel)
    explainer = Explainer(fitted, fitted.scorer())
    history = fitted.split.histories[0]
    each = explainer.explain("u0", history, Rules(), 1)[0]
    code = fitted.split.vocabulary.codes[each.item_id]
    without = model.zero_branch()
    expected = each.score - float(without.scores(without.queries([history]), code, code + 1))
    effect = next(effect for effect in each.effects if effect.part == "fusion")
    assert effect.value == pytest.approx(expected, abs=1e-5)
    assert effect.value != 0


def test_a_run_without_fusion_says_nothing_of_one(sasrec: Recommender) -> None:
    each = sasrec.explain(["u0"], k=1)[0]
    assert (each.effects, each.tokens, each.router, each.controls) == ((), (), {}, ())


def test_mistakes_are_told(sasrec: Recommender) -> None:
    with pytest.raises(DataError, match=r"'u99' is not in the training log.*'u9'"):
        sasrec.explain(["u1", "u99"])
    with pytest.raises(DataError, match="Item 'i999' does not occur in the training data"):
        sasrec.explain(["u1"], items=["i999"])
    with pytest.raises(DataError, match="Give users or histories"):
        sasrec.explain()
    with pytest.raises(ConfigError, match="k is 0"):
        sasrec.explain(["u1"], k=0)
    with pytest.raises(RunError, match="not fitted yet"):
        Recommender(backbone="ease").explain(["u1"])


def test_unknown_items_of_a_history_are_skipped_and_said(sasrec: Recommender) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        each = sasrec.explain(histories=[["i1", "new", "i2"]], k=1)[0]
    assert [one.item_id for one in each.contributions if one.read] != []
    assert {one.item_id: one.places for one in each.contributions} == {"i1": (1,), "i2": (3,)}
    assert any("are skipped: 1" in note for note in each.notes)
    assert any("new" in str(warning.message) for warning in told)
    assert UNKNOWN not in ReadHistory.of(np.array([1, UNKNOWN, 2], np.int32), None).window
