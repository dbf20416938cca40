"""An error names the line on which a row stands, whatever was dropped before it."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare

ROWS = [("", "i1", "soon"), ("u1", "", "soon"), ("u2", "i2", "yesterday"), ("u3", "i3", "later")]


def as_lines(name):
    if name.endswith(".jsonl"):
        objects = [json.dumps(dict(zip(("user_id", "item_id", "timestamp"), row, strict=True))) for row in ROWS]
        return ["{", *objects]
    return ["user_id,item_id,timestamp", *(",".join(row) for row in ROWS)]


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_the_first_unusable_time_is_on_its_line(tmp_path, name):
    path = tmp_path / name
    path.write_text("\n".join(as_lines(name)) + "\n")
    expected = re.escape(f"{path}, line 4: timestamp is 'yesterday'")
    with pytest.raises(DataError, match=expected):
        load_interactions(path, skip_invalid=True)
    with pytest.raises(DataError, match=expected):
        prepare(path, tmp_path / "set", skip_invalid=True)


def test_the_first_unusable_time_of_a_table_in_memory_is_in_its_row():
    table = {name: [row[n] for row in ROWS] for n, name in enumerate(("user_id", "item_id", "timestamp"))}
    with pytest.raises(DataError, match=r"row 2 \(the first is 0\): timestamp is 'yesterday'"):
        load_interactions(pl.DataFrame(table), skip_invalid=True)


def test_rows_that_were_dropped_leave_no_column_behind():
    table = pl.DataFrame({"user_id": ["u", "", "v"], "item_id": ["i", "j", "k"], "timestamp": [1, 2, 3]})
    assert load_interactions(table, skip_invalid=True).frame.columns == ["user_id", "item_id", "timestamp"]
