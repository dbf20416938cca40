"""New rows behind the histories of a split."""

from __future__ import annotations

import re
from contextlib import nullcontext

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.errors import DataError, MltfrWarning
from mltfr.interactions import (
    UNKNOWN,
    FilterConfig,
    LastTime,
    SplitConfig,
    apply_filters,
    extend,
    load_interactions,
    prepare,
    split,
)
from mltfr.interactions.consistency import check_consistent

ALL = FilterConfig()


def as_log(rows, **arguments):
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return load_interactions(frame, **arguments)


OLD = [("a", "x", 1), ("b", "y", 2), ("a", "y", 3), ("b", "x", 4), ("a", "z", 5), ("b", "z", 6)]
NEW = [("b", "x", 7), ("c", "y", 8), ("a", "new", 9), ("a", "x", 10), ("c", "x", 11)]


def of_ids(data):
    """Return everybody's history as item ids, None for items that training has not seen."""
    ids = (None, *data.vocabulary.item_ids)
    return {
        user: [None if code == UNKNOWN else ids[code] for code in history]
        for user, history in zip(data.user_ids, data.histories, strict=True)
    }


def after(old, new, filters=ALL, **arguments):
    log = as_log(old, **arguments)
    kept, _ = apply_filters(log, filters)
    return extend(split(kept), as_log(new, **arguments), filters, LastTime.of(log))


def test_every_new_row_with_something_before_it_is_an_example():
    data, new = after(OLD, NEW)
    check_consistent(data)
    assert data.user_ids == ("a", "b", "c")
    assert data.vocabulary.item_ids == ("x", "y")
    assert of_ids(data) == {"a": ["x", "y", None, None, "x"], "b": ["y", "x", None, "x"], "c": ["y", "x"]}
    assert list(zip(data.test.user, data.test.cut, strict=True)) == [(0, 3), (0, 4), (1, 3), (2, 1)]
    assert len(data.validation) == 0
    assert data.train_length.tolist() == [1, 1, 0]
    assert (new.rows, new.not_later, new.filtered, new.interactions) == (5, 0, 0, 5)
    assert (new.users, new.new_users, new.unknown_items, new.of_unknown_items, new.without_history) == (3, 1, 1, 1, 1)
    assert new.timed


@pytest.mark.parametrize(("known", "found", "said"), [
    (("1", "2"), ("1.0", "2.0"), "'1.0' here, '1' in the run's log. Write them alike."),
    (("1.0", "2.0"), ("1", "2"), "'1' here, '1.0' in the run's log"),
    (("001", "002"), ("1", "2"), "'1' here, '001' in the run's log"),
    (("i1", "i2"), ("I1", "I2"), "'I1' here, 'i1' in the run's log"),
    (("i1", "i2"), ("j1", "j2"), "are ids written as in the run's log?"),
])  # fmt: skip
def test_ids_that_are_written_otherwise_are_shown(known, found, said):
    old = [(f"u{n % 3}", known[n // 3 % 2], n) for n in range(9)]
    with_items = [(f"u{n % 3}", found[n // 3 % 2], 20 + n) for n in range(9)]
    _, new = after(old, with_items)
    assert said in str(new)
    assert "otherwise" not in new.to_json()
    as_users = [(user, item, time) for item, user, time in old]
    _, new = after(as_users, [(user, item, time) for item, user, time in with_items])
    assert (said in str(new)) == ("Write" in said or "here" in said)
    with pytest.warns(MltfrWarning, match=re.escape(said)) if "here" in said else nullcontext():
        new.warn()


def test_items_that_are_written_otherwise_are_told_where_they_are_trained_on():
    log = as_log([(f"u{n % 3}", str(1 + n // 3 % 2), n) for n in range(9)])
    later = as_log([(f"u{n % 3}", f"{1 + n // 3 % 2}.0", 20 + n) for n in range(30)])
    _, new = extend(split(log), later, ALL, LastTime.of(log), train=True)
    assert new.new_items == 2
    with pytest.warns(MltfrWarning, match=r"Ids of items seem to be written otherwise: '1\.0' here, '1' in the run's"):
        new.warn()


def test_a_few_ids_that_are_alike_by_chance_are_not_told():
    old = [(f"u{n % 3}", f"aB{n // 3}", n) for n in range(12)]
    _, new = after(old, [("u1", "Ab0", 20), ("u1", "Ab1", 21), ("u2", "c1", 22), ("u2", "c2", 23)])
    assert new.otherwise == {"items": ("Ab0", "aB0")}
    _, new = after(old, [("u1", "Ab0", 20), ("u1", "c0", 21), ("u2", "c1", 22), ("u2", "c2", 23)])
    assert not new.otherwise
    assert "are ids written as in the run's log?" in str(new)


def test_strangers_among_items_are_told_beside_users_that_are_written_otherwise():
    _, new = after(OLD, [("A", "x9", 7), ("B", "y9", 8)])
    assert re.search("are ids written as in the run's log.* Ids of users seem .* 'A' here, 'a' in the run's", str(new))
    _, new = after(OLD, [("A", "X", 7), ("B", "Y", 8)])
    assert re.search("Ids of items seem .* 'X' here.* Ids of users seem .* 'A' here", str(new))
    assert "are ids written" not in str(new)


def test_what_is_training_stays():
    log = as_log(OLD)
    before = split(log)
    data, _ = extend(before, as_log(NEW), ALL, LastTime.of(log))
    assert data.vocabulary is before.vocabulary
    assert data.train_histories().items.tolist() == before.train_histories().items.tolist()


def test_rows_that_the_run_has_are_left_out_and_counted():
    data, new = after(OLD, OLD + NEW)
    assert of_ids(data) == of_ids(after(OLD, NEW)[0])
    assert (new.rows, new.not_later, new.interactions) == (11, 6, 5)
    assert "5 of 11 rows taken (left out: 6 not later than the run's last row)" in str(new)


def test_nothing_later_is_refused():
    with pytest.raises(DataError, match=r"none of its 6 rows is later than the run's last one \(6\), so the run has"):
        after(OLD, OLD)


def test_a_log_without_times_follows_as_it_stands():
    frame = pl.DataFrame({"user_id": ["b", "b"], "item_id": ["x", "y"]})
    data, new = extend(split(as_log(OLD)), load_interactions(frame), ALL, LastTime(6))
    assert of_ids(data)["b"] == ["y", "x", None, "x", "y"]
    assert not new.timed
    assert "all are taken to be later" in str(new)


@pytest.mark.parametrize(
    ("old", "new", "later"),
    [
        (["2024-05-30", "2024-05-31"], ["2024-05-31", "2024-06-01"], 1),
        (["2024-05-30", "2024-05-31"], [1717113600, 1717113601], 1),             # 2024-05-31 in seconds
        ([1717027200, 1717113600], [1717113600000, 1717113600001, 1717113601000], 2),
        (["2024-05-30 00:00:00.5", "2024-05-31 00:00:00.5"], [1717113600, 1717113601], 1),
        ([1.5, 2.5], [2.25, 2.5, 2.75], 1),
    ],
)
def test_times_of_two_files_are_the_same_moments(old, new, later):
    users = ["a"] * len(old)
    log = load_interactions(pl.DataFrame({"user": users, "item": list("xyz")[: len(old)], "time": old}))
    rows = pl.DataFrame({"user": ["a"] * len(new), "item": list("uvw")[: len(new)], "time": new})
    _, facts = extend(split(log), load_interactions(rows), ALL, LastTime.of(log))
    assert facts.interactions == later


def test_moments_behind_a_counter_are_refused():
    with pytest.raises(DataError, match=r"its times are moments, but those of the run's log are a counter .* is 6\)"):
        after(OLD, [("a", "x", 1717113600)])
    with pytest.raises(DataError, match="its times are a counter, but those of the run's log are moments"):
        after([("a", "x", 1717113600), ("a", "y", 1717113601)], [("a", "x", 7)])


def test_a_given_test_part_is_refused():
    log = as_log(NEW)
    with pytest.raises(DataError, match="has a given test part, and new rows are one log"):
        extend(split(as_log(OLD)), type(log)(log.frame, test=log.frame), ALL, None)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("vwxyz")), min_size=8, max_size=40),
    cut=st.floats(0.3, 0.9),
    filters=st.sampled_from([{}, {"consecutive_repeats": "drop"}, {"since": 3}, {"since": 2, "until": 30}]),
)
def test_histories_are_those_of_the_joined_log(rows, cut, filters):
    timed = [(user, item, time) for time, (user, item) in enumerate(rows, 1)]
    border = int(cut * len(timed))
    chosen = FilterConfig(**filters)
    try:
        data, _ = after(timed[:border], timed[border:], chosen)
        kept, _ = apply_filters(as_log(timed), chosen)
    except DataError:
        return
    check_consistent(data)
    known = set(data.vocabulary.item_ids)
    joined = {
        user: [item if item in known else None for item in items]
        for user, items in kept.frame.group_by("user_id", maintain_order=True).agg("item_id").iter_rows()
    }
    found = of_ids(data)
    assert list(found) == list(joined)
    if "consecutive_repeats" not in filters:
        assert found == joined
    else:  # of an item that training has not seen, the run does not know whether it comes again
        assert {user: [i for i in items if i] for user, items in found.items() if None not in items} == {
            user: items for user, items in joined.items() if None not in found[user]
        }


def test_rows_that_until_kept_from_a_run_are_new_when_it_is_scored():
    log, filters = as_log([*OLD, *NEW]), FilterConfig(until=7)
    before = split(apply_filters(log, filters)[0])
    data, new = extend(before, log, filters, LastTime.of(log), unseen=True)
    expected, _ = after(OLD, NEW)
    assert (of_ids(data), new.not_later, new.interactions) == (of_ids(expected), len(OLD), len(NEW))
    assert data.test.user.tolist() == expected.test.user.tolist()
    with pytest.raises(DataError, match=r"has them already, or its filters.until \(7\) left them out"):
        extend(before, log, filters, LastTime.of(log))
    later = FilterConfig(until=1_000)  # behind the log's end, where it kept nothing from the run
    assert extend(split(as_log(OLD)), log, later, LastTime.of(as_log(OLD)), unseen=True)[1].interactions == len(NEW)


def test_who_has_too_many_new_rows_is_left_out():
    robot = [("robot", "x", 20 + time) for time in range(9)]
    data, new = after(OLD, [*NEW, *robot], FilterConfig(max_user_interactions=8))
    assert data.user_ids == ("a", "b", "c")
    assert (new.rows, new.filtered) == (14, 9)


def test_what_new_rows_need_not_meet_is_said():
    data, new = after(OLD, NEW, FilterConfig(core=2, most_recent=3))
    assert data.histories.lengths.tolist() == [5, 4, 2]
    assert new.not_applied == ("core", "most_recent")
    assert "core, most_recent: not asked of new rows (they chose what was trained on)." in str(new)
    assert "not asked" not in str(after(OLD, NEW)[1])


def test_a_prepared_set_knows_its_last_time(tmp_path):
    pytest.importorskip("duckdb")
    as_log(OLD).frame.write_parquet(tmp_path / "log.parquet")
    assert prepare(tmp_path / "log.parquet", tmp_path / "set").last_time == LastTime(6)
    dates = pl.DataFrame({"user": list("aab"), "item": list("xyz"), "time": ["2024-05-30", "2024-05-31", "2024-05-29"]})
    dates.write_csv(tmp_path / "log.csv")
    found = prepare(tmp_path / "log.csv", tmp_path / "dates", split=SplitConfig()).last_time
    assert found == LastTime.of(load_interactions(tmp_path / "log.csv"))
    assert str(found) == "2024-05-31 00:00 UTC"


def test_numbers_fit_the_document():
    _, new = after(OLD, NEW)
    assert new.to_json()["interactions"] == 5
    assert all(type(value) in (int, str, bool, tuple) for value in new.to_json().values())
    assert np.isscalar(new.users)
