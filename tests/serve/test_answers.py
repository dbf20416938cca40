"""What is answered is what `Recommender` says, however many ask at the same time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pytest

from mltfr.pipeline import resolve
from mltfr.serve.loaded import LoadedRun
from support.service import client_of

pytestmark = pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
GAP = 2e-4
"""Scores that differ by less may come in either order: sums depend on what is summed together."""
HISTORIES = {1: 96, 16: 384, 64: 768}
"""Random histories, by how many are asked for at the same time."""


def histories(items: list[str], count: int, seed: int = 0) -> Iterator[list[str]]:
    """Yield random histories: empty ones, unknown and odd ids, repeats, and ten times what the model reads."""
    chance = random.Random(seed)
    odd = ["nope", "日本語", "<img src=x onerror=alert(1)>", "\u202eabc", "a\x00b", "🦆", '"quoted"', "x" * 300]
    for number in range(count):
        length = chance.choice([0, 1, 2, 5, 12, 100]) if number % 7 else 0
        pool = odd if chance.random() < 0.1 else [*items, *odd] if chance.random() < 0.5 else items
        yield [chance.choice(pool) for _ in range(length)]


def assert_same(given: list[dict], expected: pl.DataFrame) -> None:
    """Check items and scores against rows of `recommend`, but for the order of all but equal scores."""
    assert [each["rank"] for each in given] == expected["rank"].to_list()
    scores = expected["score"].to_list()
    assert [each["score"] for each in given] == pytest.approx(scores, abs=1e-4)
    for place, (one, other) in enumerate(zip(given, expected["item_id"], strict=True)):
        near = [abs(scores[place] - score) for at, score in enumerate(scores) if at != place]
        if one["item_id"] != other:
            assert place == len(scores) - 1 or min(near) <= GAP, (one, other)


@pytest.mark.parametrize("concurrent", HISTORIES)
def test_answers_are_those_of_recommender(client, recommender, run, concurrent) -> None:
    items = list(run.fitted.split.vocabulary.item_ids)
    asked = list(histories(items, HISTORIES[concurrent], seed=concurrent))
    table = recommender.recommend(histories=asked, k=5)
    found = {user: rows for (user,), rows in table.partition_by("user_id", as_dict=True).items()}
    for start in range(0, len(asked), concurrent):
        some = asked[start : start + concurrent]
        answers = client.together([("POST", "/v1/recommend", {"json": {"histories": [h], "k": 5}}) for h in some])
        for place, (history, answer) in enumerate(zip(some, answers, strict=True), start=start):
            (result,) = answer.json()["results"]
            assert_same(result["items"], found.get(str(place), table.clear()))
            known = [item for item in history if item in items]
            assert result["fallback"] == (None if known else "popular")
            assert result["skipped"] == list(dict.fromkeys(item for item in history if item not in items))
            assert result["truncated"] == (len(known) > 10)


def test_users_histories_and_both(client, recommender, run) -> None:
    users = list(run.fitted.split.user_ids[3:6])
    answer = client.recommend(users=users, histories={"new": ["i3"], "other": []}, k=4)
    assert answer["run"] == run.fingerprint
    assert [each["user_id"] for each in answer["results"]] == [*users, "new", "other"]
    expected = recommender.recommend(users=users, k=4)
    for user, result in zip(users, answer["results"], strict=False):
        assert_same(result["items"], expected.filter(pl.col("user_id") == user))


def test_what_is_asked_together_is_answered_as_asked(client, run) -> None:
    items = list(run.fitted.split.vocabulary.item_ids)
    chance = random.Random(1)
    requests = []
    for number in range(60):
        document = {"histories": [chance.choices(items, k=6)], "k": chance.randint(1, 30)}
        document |= {"include_seen": chance.choice([True, False])} if number % 2 else {}
        document |= {"deny": chance.sample([*items, "nope"], 5)} if number % 3 else {}
        document |= {"allow": chance.sample(items, 12)} if number % 5 == 0 else {}
        requests.append(document)
    answers = client.together([("POST", "/v1/recommend", {"json": document}) for document in requests])
    for document, answer in zip(requests, answers, strict=True):
        found = answer.json()["results"][0]["items"]
        ids = [each["item_id"] for each in found]
        candidates = set(document.get("allow", items)) - set(document.get("deny", []))
        if not document.get("include_seen"):
            candidates -= set(document["histories"][0])
        assert len(ids) == len(set(ids)) == min(document["k"], len(candidates))
        assert set(ids) <= candidates
        assert [each["rank"] for each in found] == list(range(1, len(ids) + 1))
        scores = [each["score"] for each in found]
        assert scores == sorted(scores, reverse=True)


def test_many_denied_items(client, run, recommender, monkeypatch) -> None:
    monkeypatch.setattr("mltfr.serve.answers.SHARED_DENIALS", 3)
    deny = list(run.fitted.split.vocabulary.item_ids[:8])
    answer = client.recommend(histories=[["i3", "i9"]], k=30, deny=deny)
    assert_same(answer["results"][0]["items"], recommender.recommend(histories=[["i3", "i9"]], k=30, deny=deny))


def test_unknown_ids_are_all_named(client, run) -> None:
    user = run.fitted.split.user_ids[0]
    answer = client.post("/v1/recommend", {"users": [user, "nobody", 7]})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["id"] for each in answer.json()["errors"]] == ["nobody", "7"]
    found = client.recommend(users=["nobody", user], unknown_users="skip", deny=["nope"])
    assert [each["user_id"] for each in found["results"]] == [user]
    assert (found["unknown_users"], found["skipped_filters"]) == (["nobody"], {"deny": ["nope"]})
    answer = client.post("/v1/recommend", {"users": [user], "allow": ["x", "y"]})
    assert (answer.status_code, [each["id"] for each in answer.json()["errors"]]) == (404, ["x", "y"])
    answer = client.post("/v1/similar-items", {"items": ["i3", "x", "y"]})
    assert (answer.status_code, [each["id"] for each in answer.json()["errors"]]) == (404, ["x", "y"])


def test_similar_items_are_those_of_recommender(client, recommender) -> None:
    answer = client.post("/v1/similar-items", {"items": ["i9", "i3"], "k": 3}).json()
    expected = recommender.similar_items(["i9", "i3"], k=3)
    rows = [
        (result["item_id"], each["rank"], each["item_id"]) for result in answer["results"] for each in result["items"]
    ]
    assert rows == expected.select("similar_to", "rank", "item_id").rows()


def test_one_bad_history_fails_alone(client, run, monkeypatch) -> None:
    top_k = run.own.retriever.top_k
    poison = run.fitted.split.vocabulary.codes["i7"]

    def fragile(given, *more):
        if any(len(history) == 1 and history[0] == poison for history in given):
            raise RuntimeError("poison")
        return top_k(given, *more)

    asked = [["i7"] if number == 30 else ["i3", f"i{number % 6}"] for number in range(64)]
    expected = [client.recommend(histories=[history])["results"] for history in asked]
    monkeypatch.setattr(run.own.retriever, "top_k", fragile)
    answers = client.together([("POST", "/v1/recommend", {"json": {"histories": [history]}}) for history in asked])
    assert [answer.status_code for answer in answers] == [500 if number == 30 else 200 for number in range(64)]
    for number, (answer, alone) in enumerate(zip(answers, expected, strict=True)):
        if number != 30:
            (one,), (other,) = answer.json()["results"], alone
            assert [i["score"] for i in one["items"]] == pytest.approx([i["score"] for i in other["items"]], abs=1e-4)


def test_names_stand_beside_ids(run) -> None:
    with client_of(replace(run, names={"i3": "<b>Heat</b>"})) as client:
        items = client.recommend(histories=[["i9"]], allow=["i3", "i4"])["results"][0]["items"]
        assert {each["item_id"]: each["name"] for each in items} == {"i3": "<b>Heat</b>", "i4": None}


def test_items_that_training_has_not_seen(with_new: LoadedRun) -> None:
    with client_of(with_new) as client:
        answer = client.recommend(histories=[["i3", "new-1"]], k=30, new_items=True, include_seen=True)
        (result,) = answer["results"]
        scores = {each["item_id"]: each["score"] for each in result["items"]}
        same = with_new.fitted.split.vocabulary.item_ids[4]
        assert scores["new-1"] == pytest.approx(scores[same], abs=1e-5)
        assert result["skipped"] == []
        assert [each["item_id"] for each in result["items"] if each["new"]] == ["new-1"]
        old = client.recommend(histories=[["i3", "new-1"]])["results"][0]
        assert old["skipped"] == ["new-1"]
        assert not any("new" in each for each in old["items"])
        found = client.post("/v1/similar-items", {"items": ["new-1"], "k": 1, "new_items": True}).json()
        (similar,) = found["results"][0]["items"]
        assert (similar["item_id"], similar["new"]) == (same, False)
        asked = {"histories": [["i3", "new-1"]], "items": ["new-1", "i6"], "k": 10, "new_items": True}
        new, other = client.post("/v1/explain", {**asked, "include_seen": True}).json()["results"]
        assert new["score"] == pytest.approx(scores["new-1"], abs=1e-4)
        assert {each["item_id"] for each in other["contributions"]} == {"i3", "new-1"}


def test_the_parts_of_a_score_beside_new_items_have_names_and_sum_to_it(with_new: LoadedRun) -> None:
    new = replace(with_new.fitted.new_items, weight=0.3, factor=4.0)
    run = replace(with_new, fitted=replace(with_new.fitted, new_items=new))
    with client_of(run) as client:
        asked = {"histories": [["i3", "i5", "new-1"]], "items": ["new-1", "i6"], "new_items": True}
        for each in client.post("/v1/explain", {**asked, "include_seen": True}).json()["results"]:
            parts = {effect["part"]: effect["value"] for effect in each["effects"] if "weight" in effect["without"]}
            assert list(parts) == ["sasrec", "words of names (name-knn)"]
            assert sum(parts.values()) == pytest.approx(each["score"], abs=1e-6)


def test_a_run_without_new_items_says_so(client) -> None:
    answer = client.post("/v1/recommend", {"histories": [["i3"]], "new_items": True})
    assert (answer.status_code, "--new-items" in answer.json()["detail"]) == (409, True)


def test_the_reference_goes_alone_and_says_so(run, monkeypatch) -> None:
    assert resolve(preset="reference").depends_on_batch
    assert not resolve(preset="reference", fusion="none").depends_on_batch
    assert not resolve().depends_on_batch
    alone = replace(run)
    alone.alone = True
    calls = []
    top_k = alone.own.retriever.top_k

    def counted(given, *more):
        calls.append(len(given))
        return top_k(given, *more)

    monkeypatch.setattr(alone.own.retriever, "top_k", counted)
    with client_of(alone) as client:
        answers = client.together([("POST", "/v1/recommend", {"json": {"histories": [["i3"], ["i4"]]}})] * 5)
        assert {answer.json()["note"] for answer in answers} == set(alone.notes)
        assert "preset" in client.get("/v1/info").json()["notes"][0].lower()
        assert client.get("/v1/info").json()["limits"]["max_batch"] == 1
    assert calls == [1] * 10


def test_info_says_what_the_run_is(client, recommender) -> None:
    info = client.get("/v1/info").json()
    metrics = recommender.metrics
    assert info["protocol_hash"] == metrics["protocol_hash"]
    assert info["test"]["metrics"] == metrics["metrics"]
    assert info["test"]["zero_branch"] == metrics["zero_branch"]
    assert (info["users"], info["items"], info["reads"], info["similar_items"]) == (60, 25, 10, True)
    assert [(table["name"], table["licence"]) for table in info["tables"]] == [("alpha", None), ("beta", None)]
