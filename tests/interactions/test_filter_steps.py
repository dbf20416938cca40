"""What every filter left, those among them that are met as a log is read."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mltfr.interactions import FilterConfig, InteractionLog, apply_filters, load_interactions, prepare
from mltfr.interactions.filter_steps import FilterStep, Tally, ids_of

pytestmark = pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
LOG = """user_id,item_id,event,timestamp
u1,a,buy,10
u1,a,buy,10
 u1,b ,buy,11
u2,a,view,12
u2,b,buy,13
,c,buy,14
u3,d,buy,15
u3,d,buy,15
u3,d,buy,16
"""


def test_every_step_begins_where_the_one_before_ended(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    filters = FilterConfig(where="event = buy", consecutive_repeats="drop", min_user_interactions=2)
    log = load_interactions(tmp_path / "log.csv", where=filters.where, skip_invalid=True)
    _, report = apply_filters(log, filters)
    assert report.steps == (
        FilterStep("before", 9, 3, 4),  # " u1" is u1, and nobody is no user
        FilterStep("where", 8, 3, 4),
        FilterStep("skip_invalid", 7, 3, 3),
        FilterStep("same_time", 5, 3, 3),
        FilterStep("consecutive_repeats", 4, 3, 3),
        FilterStep("min_user_interactions", 2, 1, 2),
    )
    made = prepare(tmp_path / "log.csv", tmp_path / "set", filters=filters, skip_invalid=True, memory=1 << 20)
    assert made.report == report
    assert load_interactions(tmp_path / "set").report == report


def test_without_a_condition_invalid_rows_are_none_before(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    log = load_interactions(tmp_path / "log.csv", skip_invalid=True)
    assert apply_filters(log, FilterConfig())[1].steps == (
        FilterStep("before", 8, 3, 3),
        FilterStep("same_time", 6, 3, 3),
    )


def test_a_log_that_is_filtered_by_nothing_has_one_step():
    log = InteractionLog(pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "a"]}))
    assert apply_filters(log, FilterConfig())[1].steps == (FilterStep("before", 2, 2, 1),)


@pytest.mark.parametrize("buffered", [1, 50, 1 << 20])
def test_ids_are_counted_over_pieces(monkeypatch, buffered):
    monkeypatch.setattr("mltfr.interactions.filter_steps.BUFFERED", buffered)
    random = np.random.default_rng(0)
    table = pl.DataFrame(
        {name: random.integers(0, size, 500).astype(str) for name, size in (("user_id", 90), ("item_id", 30))}
    )
    tally = Tally()
    for piece in table.iter_slices(13):
        tally.add(ids_of(piece))
    assert tally.step("all") == FilterStep("all", 500, table["user_id"].n_unique(), table["item_id"].n_unique())
