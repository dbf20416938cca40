"""`/v1/explain` says what `Recommender.explain` says."""

from __future__ import annotations

import json

import pytest

from mltfr import Recommender
from mltfr.serve.loaded import LoadedRun
from support.service import RUNS, Client, client_of

pytestmark = pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")


def same(given: object, expected: object) -> None:
    """Compare two documents, numbers up to rounding."""
    if isinstance(expected, dict):
        assert isinstance(given, dict)
        assert given.keys() == expected.keys()
        for key, value in expected.items():
            same(given[key], value)
    elif isinstance(expected, list):
        assert isinstance(given, list)
        assert len(given) == len(expected)
        for one, other in zip(given, expected, strict=True):
            same(one, other)
    else:
        assert given == (pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected)


def test_explanations_are_those_of_recommender(client: Client, recommender: Recommender, run: LoadedRun) -> None:
    user = run.fitted.split.user_ids[2]
    answer = client.post("/v1/explain", {"users": [user], "k": 2, "deny": ["i3"]})
    assert answer.status_code == 200, answer.text
    expected = [each.to_json() for each in recommender.explain(users=[user], k=2, deny=["i3"])]
    assert answer.json()["run"] == run.fingerprint
    same(answer.json()["results"], json.loads(json.dumps(expected)))
    document = {"histories": {"new": ["i3", "i9", "nope", "i4"], "nobody": ["nope"]}, "items": ["i6", "i3"]}
    answer = client.post("/v1/explain", document)
    assert answer.status_code == 200, answer.text
    expected = [each.to_json() for each in recommender.explain(histories=document["histories"], items=["i6", "i3"])]
    same(answer.json()["results"], json.loads(json.dumps(expected)))


def test_newer_interactions_are_explained(client: Client, run: LoadedRun) -> None:
    user, items = run.fitted.split.user_ids[0], run.fitted.split.vocabulary.item_ids
    history = {items[code - 1] for code in run.fitted.split.histories[0]}
    new = next(item for item in items if item not in history)
    client.post("/v1/interactions", {"interactions": [{"user_id": user, "item_id": new}]})
    (first, *_) = client.post("/v1/explain", {"users": [user], "k": 1}).json()["results"]
    assert new in json.dumps(first)


def test_what_cannot_be_explained(client: Client, run: LoadedRun) -> None:
    answer = client.post("/v1/explain", {"histories": [["i3"]], "items": ["x", "i4", "y"]})
    assert (answer.status_code, [each["id"] for each in answer.json()["errors"]]) == (404, ["x", "y"])
    assert client.post("/v1/explain", {"histories": [["i3"]] * 5}).status_code == 422
    assert client.post("/v1/explain", {"histories": [["i3"]], "k": 21}).status_code == 422
    with client_of(LoadedRun.load(RUNS / "bare")) as other:
        assert other.post("/v1/explain", {"histories": [["i3", "i4"]], "k": 1}).status_code == 200
