"""What users chose since the training extends their histories at once, and gives way to a run that knows it."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

import numpy as np
import pytest

from mltfr.interactions import Histories, Split
from mltfr.serve.answers import asked_of
from mltfr.serve.interactions import NewInteractions
from support.service import client_of

pytestmark = pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")


def sent(*pairs: tuple[str, str]) -> dict:
    return {"interactions": [{"user_id": user, "item_id": item} for user, item in pairs]}


def test_a_history_is_longer_at_once(client, run, recommender) -> None:
    user = run.fitted.split.user_ids[0]
    items = run.fitted.split.vocabulary.item_ids
    history = [items[code - 1] for code in run.fitted.split.histories[0]]
    new = next(item for item in items if item not in history)
    before = client.recommend(users=[user], k=25)["results"][0]["items"]
    answer = client.post("/v1/interactions", sent((user, new), ("stranger", "i3"), (user, "nope"))).json()
    assert answer == {"run": run.fingerprint, "accepted": 3, "held": 3, "dropped": 0, "unknown_items": ["nope"]}
    after, stranger = client.recommend(users=[user, "stranger"], k=25)["results"]
    assert new in {each["item_id"] for each in before}
    assert new not in {each["item_id"] for each in after["items"]}
    assert after["skipped"] == ["nope"]
    expected = recommender.recommend(histories=[[*history, new], ["i3"]], k=25)
    for label, result in zip("01", (after, stranger), strict=True):
        rows = expected.filter(expected["user_id"] == label)
        assert [each["score"] for each in result["items"]] == pytest.approx(rows["score"].to_list(), abs=1e-4)


def test_the_oldest_give_way(run) -> None:
    with client_of(run, interactions=3) as client:
        client.post("/v1/interactions", sent(("a", "i1"), ("a", "i2"), ("b", "i3")))
        answer = client.post("/v1/interactions", sent(("a", "i4"), ("c", "i5"))).json()
        assert (answer["held"], answer["dropped"]) == (3, 2)
        kept = {user: client.service.interactions.of(user) for user in "abc"}
        assert kept == {"a": ("i2", "i4"), "b": (), "c": ("i5",)} or kept == {"a": ("i4",), "b": (), "c": ("i5",)}
        assert "mltfr_new_interactions 3.0" in client.get("/metrics").text
        assert "mltfr_new_interactions_dropped_total 2.0" in client.get("/metrics").text


def grown(before: Split, *items: str) -> Split:
    """Return a later log, in which the first user has chosen some items more."""
    histories = [history.tolist() for history in before.histories]
    histories[0] += [before.vocabulary.codes[item] for item in items]
    return replace(before, histories=Histories.from_sequences(histories), train_length=np.array(before.train_length))


def test_what_a_later_run_knows_is_dropped(run) -> None:
    before = run.fitted.split
    after = grown(before, "i1", "i2")
    newer = NewInteractions(100)
    first, second = before.user_ids[:2]
    newer.add([(first, "i1"), (first, "i2"), (first, "i3"), (second, "i4"), ("stranger", "i5")])
    assert newer.drop(newer.held_by(before, before)) == 0
    assert newer.drop(newer.held_by(before, after)) == 2
    assert {user: newer.of(user) for user in (first, second, "stranger")} == {
        first: ("i3",), second: ("i4",), "stranger": ("i5",)}  # fmt: skip
    assert len(newer) == 3


def test_what_comes_and_gives_way_meanwhile_is_not_dropped(run) -> None:
    before = run.fitted.split
    newer, first = NewInteractions(3), before.user_ids[0]
    newer.add([(first, "i1"), (first, "i2"), (first, "i3")])
    held = newer.held_by(before, grown(before, "i1", "i2"))
    assert newer.add([(first, "i4")]) == 1
    assert newer.drop(held) == 1
    assert newer.of(first) == ("i3", "i4")
    assert len(newer) == 2


def test_what_gave_way_is_counted_where_an_item_comes_again(run) -> None:
    before = run.fitted.split
    newer, first = NewInteractions(3), before.user_ids[0]
    newer.add([(first, "i1")] * 3)
    for came, dropped, left in ((1, 1, 2), (4, 0, 3), (0, 2, 1)):
        newer.add([(first, "i1")] * (3 - len(newer)))
        held = newer.held_by(before, grown(before, "i1", "i1"))
        assert held == {first: 2}
        newer.add([(first, "i1")] * came)
        assert newer.drop(held) == dropped
        assert len(newer) == len(newer.of(first)) == left


def test_a_run_does_not_change_between_a_history_and_what_was_sent_since(run, monkeypatch) -> None:
    user, items = run.fitted.split.user_ids[0], run.fitted.split.vocabulary.item_ids
    history = [items[code - 1] for code in run.fitted.split.histories[0]]
    later = replace(run, fingerprint="later", fitted=replace(run.fitted, split=grown(run.fitted.split, "i1", "i2")))
    with client_of(run) as client:
        switching = Thread(target=client.service.switch, args=(later,))

        def slow(*given: object) -> object:
            if switching.ident is None:
                switching.start()
                switching.join(0.2)  # it has the time to go through, and must not
            return asked_of(*given)

        monkeypatch.setattr("mltfr.serve.service.asked_of", slow)
        client.post("/v1/interactions", sent((user, "i1"), (user, "i2")))
        first = client.recommend(users=[user], k=25, include_seen=False)
        switching.join(20)
        second = client.recommend(users=[user], k=25, include_seen=False)
        assert (first["run"], second["run"]) == (run.fingerprint, "later")
        for answer in (first, second):
            found = {each["item_id"] for each in answer["results"][0]["items"]}
            assert not found & {"i1", "i2", *history}
        assert len(client.service.interactions) == 0
