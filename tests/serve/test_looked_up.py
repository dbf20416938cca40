"""What is looked up without the model: items by ids and names, and histories of users."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from mltfr.serve.search import ItemSearch
from support.service import client_of

NAMES = {"a1": "Star Wars", "b2": "A Star is Born", "c3": "Amélie\n Poulain", "d4": "Stargate", "e5": "Bastard"}
COUNTS = np.array([0, 1, 9, 3, 7, 8])


@pytest.fixture(scope="module")
def search() -> ItemSearch:
    return ItemSearch(list(NAMES), COUNTS, NAMES)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("star", ["d4", "a1", "b2", "e5"]),  # begins so, by popularity; then a word that does; then within a word
        ("star wars", ["a1"]),
        ("WARS  star", ["a1"]),  # every word, in any order
        ("amelie poulain", ["c3"]),
        ("AMÉLIE", ["c3"]),
        ("b2", ["b2"]),
        ("star nothing", []),
        ("(.*", []),
        ("  ", ["b2", "e5", "d4", "c3", "a1"]),
        ("\u00b4", ["b2", "e5", "d4", "c3", "a1"]),  # an accent without its letter: nothing is asked for yet
        ("\uff33tar\u3000\u24cc\u24b6rs", ["a1"]),  # letters of other kinds
    ],
)
def test_search(search, query, found) -> None:
    assert [list(NAMES)[code - 1] for code in search.find(query, 10)] == found
    assert search.find(query, 2) == search.find(query, 10)[:2]


def test_who_is_called_exactly_so_comes_first() -> None:
    search = ItemSearch(["a", "aa", "b"], np.array([0, 1, 5, 9]), {"b": "Aa a"})
    assert search.find("a", 3) == [1, 3, 2]


def test_a_large_catalogue_is_searched_fast() -> None:
    ids = [f"item-{number}" for number in range(100_000)]
    search = ItemSearch(ids, np.ones(len(ids) + 1), {item: f"The name of {item}" for item in ids})
    search.find("warm", 1)
    begun = perf_counter()
    for query in ("", "item-9", "name of", "99999", "no such item"):
        search.find(query, 20)
    assert perf_counter() - begun < 2.5  # 0.1 s on a quiet machine


def test_items_over_http(run, client) -> None:
    vocabulary = run.fitted.split.vocabulary
    answer = client.get("/v1/items", params={"limit": 5}).json()
    counts = [int(vocabulary.counts[vocabulary.codes[each["item_id"]]]) for each in answer["results"]]
    assert counts == sorted(vocabulary.counts[1:].tolist(), reverse=True)[:5]
    assert counts == [each["interactions"] for each in answer["results"]]
    assert answer["more"]
    assert "name" not in answer["results"][0]
    found = client.get("/v1/items", params={"query": vocabulary.item_ids[3]}).json()
    assert found["results"][0]["item_id"] == vocabulary.item_ids[3]
    assert not found["more"]
    for wrong in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"query": "x" * 201}):
        assert client.get("/v1/items", params=wrong).status_code == 422
    with client_of(replace(run, names={vocabulary.item_ids[0]: "<b>Heat</b>"})) as named:
        [first] = named.get("/v1/items", params={"query": "heat"}).json()["results"]
        assert (first["item_id"], first["name"]) == (vocabulary.item_ids[0], "<b>Heat</b>")


def test_new_items_are_found_where_they_are_asked_for(with_new, client) -> None:
    with client_of(with_new) as knows:
        (found,) = knows.get("/v1/items", params={"query": "NEW thing", "new_items": "true"}).json()["results"]
        expected = {"item_id": "new-1", "name": "A <b>new</b> thing", "new": True, "interactions": 0}
        assert found == expected
        assert knows.get("/v1/items", params={"query": "new-1"}).json()["results"] == []
        first = knows.get("/v1/items", params={"limit": 1, "new_items": "true"}).json()["results"][0]
        assert not first["new"]
    assert client.get("/v1/items", params={"new_items": "true"}).status_code == 409
    assert client.get("/v1/items", params={"new_items": "yes"}).status_code == 422


def test_without_a_page_the_search_is_made_when_it_is_asked_for(run, with_new, monkeypatch) -> None:
    made = []
    monkeypatch.setattr(ItemSearch, "__init__", lambda self, ids, *more: made.append(len(ids)))
    for each, items in ((run, 25), (with_new, 26)):
        replace(each).warm_up(page=False)
        assert made == []
        replace(each).warm_up()
        assert made.pop() == items


def test_histories_know_new_items_where_they_are_asked_for(with_new, client) -> None:
    user = next(iter(with_new.fitted.split.rows))
    with client_of(with_new) as knows:
        sent = {"interactions": [{"user_id": each, "item_id": item} for each in (user, "x") for item in ("new-1", "?")]}
        assert knows.post("/v1/interactions", sent).json()["unknown_items"] == ["?"]
        asked = {"users": [user, "x"], "k": 2}
        old, nobody = knows.post("/v1/histories", asked).json()["results"]
        assert all("new" not in each for each in old["items"])
        assert (nobody["length"], nobody["items"]) == (0, [])
        known, someone = knows.post("/v1/histories", {**asked, "new_items": True}).json()["results"]
        assert known["length"] == old["length"] + 1
        assert [each["new"] for each in known["items"]] == [False, True]
        assert someone["items"] == [{"item_id": "new-1", "name": "A <b>new</b> thing", "new": True}]
    assert client.post("/v1/histories", {"users": [user], "new_items": True}).status_code == 409


def test_histories_over_http(run, client) -> None:
    split = run.fitted.split
    user = next(iter(split.rows))
    ids = [split.vocabulary.item_ids[code - 1] for code in split.histories[split.rows[user]].tolist() if code > 0]
    client.post("/v1/interactions", {"interactions": [{"user_id": user, "item_id": item} for item in (ids[0], "?")]})
    [found] = client.post("/v1/histories", {"users": [user]}).json()["results"]
    assert [each["item_id"] for each in found["items"]] == [*ids, ids[0]]
    assert found["length"] == len(ids) + 1
    [found] = client.post("/v1/histories", {"users": [user], "k": 2}).json()["results"]
    assert [each["item_id"] for each in found["items"]] == [ids[-1], ids[0]]
    unknown = client.post("/v1/histories", {"users": [user, "nobody"]})
    assert unknown.status_code == 404
    assert unknown.json()["errors"] == [{"detail": "unknown user", "id": "nobody"}]
    assert client.post("/v1/histories", {"users": [user], "k": 1001}).status_code == 422
