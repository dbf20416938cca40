from __future__ import annotations

import tomllib
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import FilterConfig, InteractionLog, apply_filters, load_interactions

Row = tuple[str, str, int]
LOG = [("u", "a", 1), ("u", "a", 2), ("v", "a", 3), ("u", "b", 4), ("v", "b", 5), ("v", "c", 6), ("u", "a", 7)]


def log_of(rows: list[Row]) -> InteractionLog:
    return InteractionLog(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        (FilterConfig(), [1, 2, 3, 4, 5, 6, 7]),
        (FilterConfig(since=3), [3, 4, 5, 6, 7]),
        (FilterConfig(until=3), [1, 2]),
        (FilterConfig(since=4.5, until="7"), [5, 6]),
        (FilterConfig(consecutive_repeats="drop"), [1, 3, 4, 5, 6, 7]),
        (FilterConfig(min_user_interactions=4), [1, 2, 4, 7]),
        (FilterConfig(min_item_interactions=2), [1, 2, 3, 4, 5, 7]),
        (FilterConfig(most_recent=2), [4, 5, 6, 7]),
        (FilterConfig(most_recent=4), [1, 2, 3, 4, 5, 6, 7]),
        (FilterConfig(core=3), [1, 2, 7]),
    ],
)
def test_each_filter(config: FilterConfig, kept: list[int]) -> None:
    log, report = apply_filters(log_of(LOG), config)
    assert log.frame["timestamp"].to_list() == kept
    assert report.steps[0].name == "before"
    assert report.steps[0].interactions == 7
    last = report.steps[-1]
    assert (last.interactions, last.users, last.items) == (
        len(kept),
        log.frame["user_id"].n_unique(),
        log.frame["item_id"].n_unique(),
    )


rows = st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdef")), min_size=1, max_size=60)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(pairs=rows, k=st.integers(2, 4))
def test_core_is_the_largest_log_in_which_all_have_enough(pairs: list[tuple[str, str]], k: int) -> None:
    left = [(user, item, time) for time, (user, item) in enumerate(pairs)]
    while True:  # the definition: take any one away that has too few
        users, items = Counter(u for u, _, _ in left), Counter(i for _, i, _ in left)
        weak = next((r for r in left if users[r[0]] < k or items[r[1]] < k), None)
        if weak is None:
            break
        left.remove(weak)
    log = log_of([(u, i, t) for t, (u, i) in enumerate(pairs)])
    if left:
        assert apply_filters(log, FilterConfig(core=k))[0].frame.rows() == left
    else:
        with pytest.raises(DataError, match=r"no interaction is left after 'core'.*Loosen that filter"):
            apply_filters(log, FilterConfig(core=k))


def test_the_report_names_every_step_in_order() -> None:
    config = FilterConfig(since=2, consecutive_repeats="drop", most_recent=2)
    report = apply_filters(log_of(LOG), config)[1]
    assert [(s.name, s.interactions) for s in report.steps] == [
        ("before", 7),
        ("since", 6),
        ("consecutive_repeats", 6),
        ("most_recent", 4),
    ]


def test_filters_that_do_not_fit_the_log_are_refused() -> None:
    untimed = load_interactions(pl.DataFrame({"user": ["u"], "item": ["a"]}))
    with pytest.raises(DataError, match=r"'since' needs timestamps"):
        apply_filters(untimed, FilterConfig(since=1))
    divided = InteractionLog(untimed.frame, test=untimed.frame)
    with pytest.raises(DataError, match=r"has a given test part, so 'core' cannot be applied"):
        apply_filters(divided, FilterConfig(core=2))
    assert apply_filters(divided, FilterConfig())[0].test is not None
    with pytest.raises(ConfigError, match=r"'soon' is neither a timestamp nor an ISO date"):
        FilterConfig.parse({"since": "soon"})
    with pytest.raises(ConfigError, match=r"since \(5.0\) must lie before until"):
        FilterConfig.parse({"since": 5, "until": "5"})
    with pytest.raises(ConfigError, match=r"since \(2024-01-02\) must lie before until"):
        FilterConfig.parse({"since": "2024-01-02", "until": "2024-01-01T12:00:00Z"})


def test_dates_of_a_config_file_are_dates() -> None:
    table = tomllib.loads("since = 2023-11-14\nuntil = 2023-11-14T22:13:23")
    assert FilterConfig.parse(table) == FilterConfig(since="2023-11-14", until="2023-11-14T22:13:23")
    log = log_of([(user, item, 1_700_000_000 + time) for user, item, time in LOG])
    assert len(apply_filters(log, FilterConfig.parse(table))[0]) == 2
