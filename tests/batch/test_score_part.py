from __future__ import annotations

import pickle

import polars as pl
import pytest

from mltfr import Recommender
from mltfr.batch import NamedUsers, Part, PartScorer, RunUsers, plan_parts
from mltfr.errors import DataError
from mltfr.inference import RecommendationSpec
from mltfr.pipeline import load_inference_model


def test_parts_cover_all_users_once():
    parts = plan_parts(10, 4)
    assert [(p.number, p.start, p.stop, len(p), p.file) for p in parts] == [
        (0, 0, 4, 4, "part-00000.parquet"),
        (1, 4, 8, 4, "part-00001.parquet"),
        (2, 8, 10, 2, "part-00002.parquet"),
    ]
    assert plan_parts(0, 4) == [Part(0, 0, 0)]
    with pytest.raises(ValueError, match="at least one user, got 0"):
        plan_parts(3, 0)


def test_one_part_is_what_recommend_returns(run):
    users = RunUsers(run)
    assert len(users) == 300
    expected = Recommender.load(run).recommend(k=7)
    scorer = PartScorer(load_inference_model(run), RecommendationSpec(7))
    assert scorer.score(users.read(0, 300)).table.equals(expected)
    parts = [scorer.score(users.read(part.start, part.stop)).table for part in plan_parts(300, 77)]
    together = pl.concat(parts)
    assert together.select("user_id", "rank").equals(expected.select("user_id", "rank"))
    assert together["score"].to_list() == pytest.approx(expected["score"].to_list(), abs=1e-5)


def test_another_process_gives_the_same_bytes(run):
    """What travels to a worker is small, and what comes of it does not depend on what was scored before."""
    users = pickle.loads(pickle.dumps(RunUsers(run)))
    first = PartScorer(load_inference_model(run), RecommendationSpec(5))
    first.score(users.read(0, 130))
    again = PartScorer(load_inference_model(run), RecommendationSpec(5))
    assert first.score(users.read(130, 200)).table.equals(again.score(users.read(130, 200)).table)
    assert len(pickle.dumps(users)) < 1000


def test_rules_are_those_of_recommend(run):
    recommender = Recommender.load(run)
    asked = {"k": 4, "include_seen": True, "allow": [f"i{n:04d}" for n in range(40)], "deny": ["i0003", "no such item"]}
    with pytest.warns(match="1 item of deny is not in the training data"):
        expected = recommender.recommend(**asked)
    spec = RecommendationSpec(4, True, tuple(asked["allow"]), tuple(asked["deny"]))
    scorer = PartScorer(load_inference_model(run), spec)
    assert scorer.score(RunUsers(run).read(0, 300)).table.equals(expected)
    assert scorer.unknown_in_filters == {"allow": [], "deny": ["no such item"]}
    with pytest.raises(DataError, match="The item of allow does not occur"):
        PartScorer(load_inference_model(run), RecommendationSpec(allow=("x",)))


def test_histories_by_id_are_those_of_recommend(run):
    given = {"a": ["i0001", "zz", "i0005"], "b": [], "c": ["zz", "yy"], "d": ["i0007"] * 30}
    recommender = Recommender.load(run)
    with pytest.warns(match="2 items are not in the training data"), pytest.warns(match="2 histories hold no item"):
        expected = recommender.recommend(histories=given, k=6)
    table = pl.DataFrame({"user_id": list(given), "items": list(given.values())})
    scored = PartScorer(load_inference_model(run), RecommendationSpec(6)).score(table)
    assert scored.table.equals(expected)
    assert dict(scored.shortfalls.unknown_items) == {"zz": 2, "yy": 1}
    assert scored.shortfalls.without_known_item.first == ["b", "c"]


def test_named_users_come_in_their_order_and_as_often_as_named(run):
    everybody = RunUsers(run).read(0, 300)
    names = ["u0007", "u0003", "u0007", "u0250"]
    found = NamedUsers(run, names).read(0, 4)
    assert found["user_id"].to_list() == names
    lists = dict(everybody.iter_rows())
    assert found["codes"].to_list() == [lists[name] for name in names]
    assert NamedUsers(run, names).read(2, 4).equals(found[2:])
    assert NamedUsers(run, names).fingerprint() != NamedUsers(run, names[::-1]).fingerprint()
