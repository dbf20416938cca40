"""Histories out of tables of events: any log, by user, oldest first; nothing is taken for them in silence."""

from __future__ import annotations

import gzip
import pickle
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mltfr import Recommender, load_interactions
from mltfr.batch import EventUsers, JsonUsers, ParquetUsers, read_histories
from mltfr.errors import DataError
from mltfr.training import Callback

ROWS = [("b", "4", 10), ("a", "10", 30), ("b", "5", 40), ("a", "3", 20), ("c", "4", 50)]
EXPECTED = [("b", ["4", "5"]), ("a", ["3", "10"]), ("c", ["4"])]
FRAME = pl.DataFrame(ROWS, schema=["user_id", "item_id", "timestamp"], orient="row")
CSV = FRAME.write_csv()
FORMS: dict[str, bytes] = {
    "csv": CSV.encode(),
    "packed": gzip.compress(CSV.encode()),
    "utf-16": CSV.encode("utf-16"),
    "synonyms": CSV.replace("user_id,item_id,timestamp", "visitorId;sku;event_time").replace(",", ";").encode(),
    "json": FRAME.write_ndjson().encode(),
    "recbole": CSV.replace(",", "\t").replace(
        "user_id\titem_id\ttimestamp", "user_id:token\titem_id:token\ttimestamp:float").encode(),
    "lines of items": b"b 4 5\na 3 10\nc 4\n",
}  # fmt: skip


@pytest.mark.parametrize("form", [*FORMS, "parquet", "parts"])
def test_events_of_any_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "events"
    if form == "parquet":
        FRAME.write_parquet(path)
    elif form == "parts":
        (path / "date=2024-01-01").mkdir(parents=True)
        FRAME[:2].write_parquet(path / "date=2024-01-01" / "0.parquet")
        FRAME[2:].write_parquet(path / "1.parquet")
    else:
        path.write_bytes(FORMS[form])
    users = read_histories(path)
    assert isinstance(users, EventUsers)
    copied = pickle.loads(pickle.dumps(users))
    assert len(pickle.dumps(users)) < 500  # another process reads the file again
    for found in (users, copied):
        for start, stop in ((0, 3), (0, 1), (1, 3), (2, 3)):
            assert found.read(start, stop).rows() == EXPECTED[start:stop]
        assert found.fingerprint() == users.fingerprint()
    FRAME[:-1].write_csv(tmp_path / "fewer.csv")
    assert read_histories(tmp_path / "fewer.csv").fingerprint() != users.fingerprint()


def test_columns_are_named_as_for_a_log(tmp_path: Path) -> None:
    FRAME.rename({"user_id": "who", "item_id": "what", "timestamp": "when"}).write_csv(tmp_path / "events.csv")
    with pytest.raises(DataError, match="no user column among 'who', 'what', 'when'"):
        read_histories(tmp_path / "events.csv")
    reading = {"user_column": "who", "item_column": "what", "timestamp_column": "when", "skip_invalid": False}
    assert read_histories(tmp_path / "events.csv", reading).read(0, 3).rows() == EXPECTED


def test_lists_stay_lists(tmp_path: Path) -> None:
    table = pl.DataFrame(EXPECTED, schema=["user_id", "items"], orient="row")
    (tmp_path / "parts").mkdir()
    for path in (tmp_path / "lists.parquet", tmp_path / "parts" / "0.parquet"):
        table.write_parquet(path)
    table.write_ndjson(tmp_path / "lists.jsonl")
    for name, kind in (("lists.parquet", ParquetUsers), ("parts", ParquetUsers), ("lists.jsonl", JsonUsers)):
        users = read_histories(tmp_path / name)
        assert (type(users), users.read(0, 3).rows()) == (kind, EXPECTED)
        with pytest.raises(DataError, match="has one row a user, and --user-column is for tables of events"):
            read_histories(tmp_path / name, {"user_column": "user_id", "format": None})


def test_what_is_no_table_of_events_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"{part}.txt").write_text("a 3 10 4\n")
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\n")
    for path, message in (
        (tmp_path, r"the folder has no \.parquet file"),
        (tmp_path / "events.csv", "no usable rows"),
        (tmp_path / "no file", "no such file"),
    ):
        with pytest.raises(DataError, match=message):
            read_histories(path)
    with pytest.raises(DataError, match=r"is a log with a given split\. Give histories as one table of events"):
        read_histories(tmp_path, {"format": "folder"})


TABLES: dict[str, Any] = {
    "pandas": FRAME.to_pandas(),
    "pandas with an index": FRAME.to_pandas().set_index(pd.Index([7, 7, 8, 9, 9])),
    "polars": FRAME,
    "lazy": FRAME.lazy(),
    "arrow": FRAME.to_arrow(),
    "synonyms": FRAME.rename({"user_id": "userId", "item_id": "movieId"}).to_pandas(),
    "columns": FRAME.to_dict(as_series=False),
    "columns with synonyms": {"visitorid": FRAME["user_id"], "sku": pa.array(FRAME["item_id"]), "ts": [1, 3, 4, 2, 5]},
    "log": load_interactions(FRAME),
}


@pytest.fixture(scope="module")
def fitted() -> Recommender:
    rows = [(user, (user + step) % 12 + 1, step) for user in range(1, 21) for step in range(5)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return Recommender(backbone="item-knn").fit(log, callback=Callback())


@pytest.mark.parametrize("form", TABLES)
def test_frames_are_events_and_no_columns_are_histories(fitted: Recommender, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fitted.recommend(histories=TABLES[form], k=2)
        expected = fitted.recommend(histories=dict(EXPECTED), k=2)
    assert found.equals(expected)
