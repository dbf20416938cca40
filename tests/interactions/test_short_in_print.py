"""What the data look like in print: a line each, however large they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.interactions import SplitConfig, load_interactions, prepare, split
from support.walks import write_log


def test_data_are_a_line_in_print(tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv")
    log = load_interactions(tmp_path / "log.csv")
    data = split(log)
    sizes = "60 users, 25 items, 451 interactions, 331 of them training; examples: 60 validation, 60 test"
    assert repr(log) == f"InteractionLog({tmp_path / 'log.csv'}, csv: 451 interactions, 60 users, 25 items, times)"
    assert repr(data) == f"Split(leave-one-out: {sizes})"
    assert repr(data.histories) == "Histories(60 users, 451 interactions)"
    assert repr(data.test) == "Examples(60 of 60 users)"
    assert repr(data.vocabulary).startswith("Vocabulary(25 items: i")
    assert repr(data.vocabulary).endswith(", ...)")


def test_what_is_left_out_and_given_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1 2 3 4\n2 3\n")
    (tmp_path / "test.txt").write_text("1 2\n")
    log = load_interactions(tmp_path)
    assert repr(log).endswith(", folder: 4 interactions, 2 users, 3 items, no times; a given test split of 1)")
    log = load_interactions({"user": list("aaab"), "item": list("xyzx"), "time": [1, 2, 3, 4]})
    assert "1 validation, 1 test; 1 too short" in repr(split(log, SplitConfig()))


def test_a_prepared_set_is_a_line_in_print(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    write_log(tmp_path / "log.csv")
    made = prepare(tmp_path / "log.csv", tmp_path / "set")
    assert repr(made).startswith(f"PreparedSet({tmp_path / 'set'}, of log.csv; leave-one-out: 60 users, 25 items, ")
    assert repr(made.split.user_ids) == "Ids(60: u0, u1, u2, ...)"
    assert len(repr(made)) < 250
