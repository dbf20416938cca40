"""Who is trained on, and how many networks the time allows."""

from __future__ import annotations

import pytest

from mltfr.search.halving import SURVIVORS, how_many, promoted, work_of_all


def test_the_better_half_goes_on_and_the_first_of_equals():
    scores = {"a": 0.1, "b": 0.3, "c": None, "d": 0.3, "e": 0.2}
    assert promoted(scores, 0.5) == ["b", "d", "e"]


def test_two_go_on_at_least_and_none_that_has_failed():
    assert SURVIVORS == 2
    assert promoted({"a": 0.1, "b": 0.2, "c": 0.3}, 0.1) == ["c", "b"]
    assert promoted({"a": None, "b": 0.2}, 1.0) == ["b"]


def test_epochs_and_processes_are_counted_rung_by_rung():
    assert work_of_all(8, (3, 9), 0.5) == (8 * 3 + 4 * 6 + 2 * 11, 8 + 4 + 2)  # the usual end is after 20


@pytest.mark.parametrize(("seconds", "count"), [(0.0, 0), (1e9, 6), (60.0, 6), (40.0, 1)])
def test_as_many_as_the_time_allows(seconds, count):
    assert how_many(6, 2, (3, 9), 0.5, 1.0, 0.0, seconds) == pytest.approx(count, abs=0 if seconds in (0.0, 1e9) else 2)
    found = how_many(6, 2, (3, 9), 0.5, 1.0, 0.0, seconds)
    assert not found or work_of_all(2 + found, (3, 9), 0.5)[0] - 6 <= seconds


def test_starting_processes_takes_time_too():
    assert how_many(6, 2, (3, 9), 0.5, 0.1, 0.0, 60.0) == 6
    assert 0 < how_many(6, 2, (3, 9), 0.5, 0.1, 5.0, 60.0) < 6
