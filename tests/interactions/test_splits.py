"""Splits: nothing leaks, nothing is lost unsaid, order is kept."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import UNKNOWN, InteractionLog, Split, SplitConfig, load_interactions, split

MARKER = "marker"
items = st.sampled_from([f"i{n}" for n in range(12)])
users = st.lists(st.lists(items, min_size=1, max_size=9), min_size=1, max_size=8)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def log_of(*sequences: list[str], test: list[tuple[str, str]] | None = None) -> InteractionLog:
    """A log in which users take turns, so that each one's rows lie apart."""
    rows = sorted((time, user, item) for user, s in enumerate(sequences) for time, item in enumerate(s))
    frame = pl.DataFrame({"user_id": [f"u{u}" for _, u, _ in rows], "item_id": [i for _, _, i in rows]})
    frame = frame.with_columns(timestamp=pl.Series([t for t, _, _ in rows], dtype=pl.Int64))
    given_test = None if test is None else pl.DataFrame(test, schema=["user_id", "item_id"], orient="row")
    return InteractionLog(frame, test=given_test)


def decoded(parts: Split, user: str) -> list[str | None]:
    codes = parts.histories[parts.user_ids.index(user)]
    return [None if code == UNKNOWN else parts.vocabulary.item_ids[code - 1] for code in codes]


def assert_sound(parts: Split) -> None:
    """What holds of every split: vocabulary and counts are those of the training part alone."""
    train = parts.train_histories()
    assert (train.items >= 1).all()
    counts = np.bincount(train.items, minlength=len(parts.vocabulary) + 1)
    assert (counts == parts.vocabulary.counts).all()
    assert (parts.vocabulary.counts[1:] > 0).all()
    assert parts.vocabulary.counts[0] == 0
    for examples in (parts.validation, parts.test):
        assert (examples.cut >= parts.train_length[examples.user]).all()
        assert (examples.cut < parts.histories.lengths[examples.user]).all()
        assert (parts.train_length[examples.user] > 0).all()
    held = {(u, c) for e in (parts.validation, parts.test) for u, c in zip(e.user, e.cut, strict=True)}
    assert len(held) == len(parts.validation) + len(parts.test)


@quick
@given(sequences=users)
def test_leave_one_out_by_definition(sequences: list[list[str]]) -> None:
    log = log_of(*sequences)
    if max(map(len, sequences)) < 2:
        with pytest.raises(DataError, match=r"no test example among .*too short for test"):
            split(log)
        return
    parts = split(log)
    assert_sound(parts)
    assert parts.method == "leave-one-out"
    trained = {item for s in sequences for item in (s[: max(1, len(s) - 2)])}
    assert set(parts.vocabulary.item_ids) == trained
    assert parts.user_ids == tuple(f"u{n}" for n in range(len(sequences)))
    for number, sequence in enumerate(sequences):
        assert decoded(parts, f"u{number}") == [i if i in trained else None for i in sequence]
        test = parts.test.cut[parts.test.user == number].tolist()
        validation = parts.validation.cut[parts.validation.user == number].tolist()
        assert test == ([len(sequence) - 1] if len(sequence) >= 2 else [])
        assert validation == ([len(sequence) - 2] if len(sequence) >= 3 else [])
        assert parts.train_length[number] == max(1, len(sequence) - 2)
    assert parts.left_out.get("too short for test", 0) == sum(len(s) < 2 for s in sequences)
    assert parts.left_out.get("too short for validation", 0) == sum(len(s) < 3 for s in sequences)


@quick
@given(sequences=users, n=st.integers(1, 3))
def test_leave_last_n(sequences: list[list[str]], n: int) -> None:
    log = log_of(*sequences, ["i0"] * 9)
    parts = split(log, SplitConfig(method="leave-last-n", n=n))
    assert_sound(parts)
    for number, length in enumerate([*map(len, sequences), 9]):
        test = parts.test.cut[parts.test.user == number].tolist()
        validation = parts.validation.cut[parts.validation.user == number].tolist()
        assert test == (list(range(length - n, length)) if length > n else [])
        assert validation == (list(range(length - 2 * n, length - n)) if length > 2 * n else [])


def test_leave_last_one_is_leave_one_out() -> None:
    log = log_of(["a", "b", "c", "d"], ["b", "c"], ["d"])
    one, last = split(log), split(log, SplitConfig(method="leave-last-n"))
    assert (one.test.cut == last.test.cut).all()
    assert one.vocabulary.item_ids == last.vocabulary.item_ids
    assert last.method == "leave-last-n(n=1)"


PLANTED = {
    "leave-one-out": (log_of(["a", "b", "c", MARKER], ["b", "a", MARKER, "c"]), SplitConfig()),
    "leave-last-n": (
        log_of(["a", "b", "c", MARKER, "b"], ["b", MARKER, "a", "c", "a"]),
        SplitConfig(method="leave-last-n", n=2),
    ),
    "global-time": (
        log_of(["a", "b", MARKER, MARKER], ["b", "a", "c", MARKER], ["a", "c"]),
        SplitConfig(method="global-time", validation_from=2, test_from=3),
    ),
    "given": (
        log_of(["a", "b", MARKER], ["b", "a"], test=[("u0", MARKER), ("u1", MARKER)]),
        SplitConfig(method="given"),
    ),
}


@pytest.mark.parametrize("method", PLANTED)
def test_a_marker_in_the_held_out_parts_never_reaches_training(method: str) -> None:
    log, config = PLANTED[method]
    parts = split(log, config)
    assert_sound(parts)
    assert MARKER not in parts.vocabulary.item_ids
    assert parts.vocabulary.counts.sum() == parts.train_length.sum()
    assert UNKNOWN not in parts.train_histories().items
    targets = np.concatenate([parts.targets(parts.validation), parts.targets(parts.test)])
    assert UNKNOWN in targets  # it is a miss, not gone


def test_codes_follow_the_first_appearance_in_training() -> None:
    frame = pl.DataFrame({"user": ["u", "v", "u", "v", "u", "v"], "item": ["x", "y", "z", "x", "y", "w"]})
    parts = split(load_interactions(frame.with_columns(time=pl.int_range(6))), SplitConfig())
    assert parts.vocabulary.item_ids == ("x", "y")
    assert decoded(parts, "u") == ["x", None, "y"]
    assert parts.vocabulary.counts.tolist() == [0, 1, 1]


def test_where_held_out_items_came_first_codes_follow_training_alone() -> None:
    """u trains on a, and meets b and c before v trains on c, then b."""
    frame = pl.DataFrame({"user": list("uuuvvvv"), "item": list("abccbxy")})
    parts = split(load_interactions(frame.with_columns(time=pl.int_range(7))), SplitConfig())
    assert parts.vocabulary.item_ids == ("a", "c", "b")
    assert decoded(parts, "v") == ["c", "b", None, None]


@quick
@given(sequences=users, first=st.integers(1, 4), later=st.integers(1, 4))
def test_global_time_by_definition(sequences: list[list[str]], first: int, later: int) -> None:
    log = log_of(*sequences, ["i0"] * 9)
    config = SplitConfig(method="global-time", validation_from=first, test_from=first + later)
    parts = split(log, config)
    assert_sound(parts)
    for row, user in enumerate(parts.user_ids):
        length = len([*sequences, ["i0"] * 9][int(user[1:])])
        assert parts.train_length[row] == min(length, first)
        assert parts.validation.cut[parts.validation.user == row].tolist() == list(
            range(first, min(length, first + later))
        )
        assert parts.test.cut[parts.test.user == row].tolist() == list(range(first + later, length))


def test_global_time_leaves_out_users_without_a_known_history() -> None:
    frame = pl.DataFrame({"user": list("uuuvv"), "item": list("abcab"), "time": [1, 2, 9, 8, 9]})
    parts = split(load_interactions(frame), SplitConfig(method="global-time", validation_from=5, test_from=9))
    assert parts.user_ids == ("u",)
    assert parts.left_out["without a training interaction"] == 1
    assert len(parts.test) == 1
    assert len(parts.validation) == 0


def test_global_time_by_shares() -> None:
    log = log_of(*[[f"i{n % 7}" for n in range(20)] for _ in range(10)])
    parts = split(log, SplitConfig(method="global-time"))
    assert parts.train_length.sum() == 160
    assert len(parts.validation) == len(parts.test) == 20
    assert parts.method == "global-time(validation_from=0.8, test_from=0.9)"


@pytest.mark.parametrize(
    ("shares", "lengths"),
    [
        ((0.55, 0.75), (6, 2, 2)),  # 5.5 and 7.5 are rounded up
        ((0.5, 0.95), (5, 4, 1)),   # 9.5 would be behind the last one, which is in the test
    ],
)
def test_shares_are_rounded_up_to_the_last_interaction(
    shares: tuple[float, float], lengths: tuple[int, int, int]
) -> None:
    config = SplitConfig(method="global-time", validation_from=shares[0], test_from=shares[1])
    parts = split(log_of([f"i{n}" for n in range(10)]), config)
    assert (parts.train_length.sum(), len(parts.validation), len(parts.test)) == lengths


def test_given_parts_are_kept() -> None:
    log = log_of(["a", "b", "c"], ["b"], ["c", "a"], test=[("u0", "b"), ("u0", "z"), ("u1", "a"), ("new", "a")])
    parts = split(log)
    assert_sound(parts)
    assert parts.method == "given"
    assert decoded(parts, "u0") == ["a", "b", "c", "b", None]  # u2 trains on c, nobody on z
    assert parts.train_length.tolist() == [2, 1, 1]
    assert list(zip(parts.validation.user, parts.validation.cut, strict=True)) == [(0, 2), (2, 1)]
    assert list(zip(parts.test.user, parts.test.cut, strict=True)) == [(0, 3), (0, 4), (1, 1)]
    assert parts.left_out == {
        "in the test part only": 1,
        "without a test item": 1,
        "too short for validation": 1,
    }


@pytest.mark.parametrize(
    ("log", "config", "message"),
    [
        (log_of(["a"], ["b"]), SplitConfig(), r"among 2 users .*with interactions before the test and in it"),
        (log_of(["a", "b"]), SplitConfig(method="given"), r"has no given test part"),
        (log_of(["a", "b"], test=[("x", "a")]), SplitConfig(), r"no test example .*in the test part only: 1"),
        (
            log_of(["a", "b"]),
            SplitConfig(method="global-time", validation_from=-2, test_from=-1),
            r"nothing happened before -2.* Times go from 0 to 1",
        ),
        (
            log_of(["a", "b", "c"]),
            SplitConfig(method="global-time", validation_from=0, test_from=1),
            r"nothing happened before 0.* Times go from 0 to 2",
        ),
        (
            InteractionLog(pl.DataFrame({"user_id": ["u"], "item_id": ["a"]})),
            SplitConfig(method="global-time"),
            r"needs timestamps. Use leave-one-out",
        ),
    ],
)
def test_what_cannot_be_split_says_why(log: InteractionLog, config: SplitConfig, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(log, config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 2}, r"'n' belongs to the split 'leave-last-n', but the method is 'auto'"),
        ({"method": "global-time", "validation_from": 0.9, "test_from": 0.5}, r"must lie before test_from"),
        ({"method": "global-time", "validation_from": 0.5, "test_from": 10**9}, r"both be shares"),
    ],
)
def test_contradictory_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SplitConfig.parse(settings, "split")
