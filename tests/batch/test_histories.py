"""Histories that come as files are read a part at a time, and looked through before anything is scored."""

from __future__ import annotations

import gzip
import json

import polars as pl
import pytest
import zstandard

from mltfr.batch import JsonUsers, ParquetUsers, json_histories, read_histories
from mltfr.batch import users as users_module
from mltfr.errors import DataError

HISTORIES = [(f"n{number}", [f"i{(number + step) % 50:04d}" for step in range(number % 4)]) for number in range(23)]


def lines(rows) -> str:
    return "".join(json.dumps({"user_id": user, "items": items}) + "\n" for user, items in rows)


def test_any_part_of_json_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(json_histories, "STRIDE", 5)
    text = "\ufeff\n" + lines(HISTORIES[:9]) + "\n \n" + lines(HISTORIES[9:])
    (tmp_path / "asked").write_text(text, encoding="utf-8")
    users = read_histories(tmp_path / "asked")
    assert isinstance(users, JsonUsers)
    assert len(users) == 23
    for start, stop in ((0, 23), (0, 1), (4, 5), (5, 12), (9, 10), (20, 23), (22, 23)):
        assert users.read(start, stop).rows() == HISTORIES[start:stop]
    (tmp_path / "other").write_text(lines(HISTORIES[:-1]))
    assert JsonUsers(tmp_path / "other").fingerprint() != users.fingerprint()


ARRAY = '[{"user_id": "u1", "items": ["a"]}]'


@pytest.mark.parametrize(("name", "content", "command"), [
    ("my histories.json", ARRAY.encode(), "jq -c '.[]' '{}my histories.json' > '{}my histories-lines.jsonl'"),
    ("h.jsonl", b"\n[\n  {}\n]\n", "jq -c '.[]' {}h.jsonl > {}h-lines.jsonl"),
    ("h.json.gz", gzip.compress(ARRAY.encode()), "gzip -dc {}h.json.gz | jq -c '.[]' > {}h-lines.jsonl"),
    ("h.jsonl", zstandard.compress(ARRAY.encode()), "zstd -dc {}h.jsonl | jq -c '.[]' > {}h-lines.jsonl"),
])  # fmt: skip
def test_a_json_array_is_said_to_be_one_and_converted_into_another_file(tmp_path, name, content, command):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"line \d: a JSON array; .*, one object a line; convert it with: ") as error:
        JsonUsers(tmp_path / name)
    assert str(error.value).endswith(command.format(f"{tmp_path}/", f"{tmp_path}/") + ".")


def test_lines_that_are_arrays_are_none(tmp_path):
    (tmp_path / "h.jsonl").write_text('["u1", ["a"]]\n')
    with pytest.raises(DataError, match=r"line 1: found \[.*expected"):
        JsonUsers(tmp_path / "h.jsonl")


FORMS = {
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip of several members": lambda text: b"".join(gzip.compress(line.encode()) for line in text.splitlines(True)),
    "zstd": lambda text: zstandard.compress(text.encode()),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, the other way round": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 in gzip": lambda text: gzip.compress(text.encode("utf-16")),
    "a mark in gzip": lambda text: gzip.compress(b"\xef\xbb\xbf" + text.encode()),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "CR and LF": lambda text: text.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_part_of_json_lines_in_any_form(tmp_path, monkeypatch, form):
    monkeypatch.setattr(json_histories, "STRIDE", 5)
    monkeypatch.setattr(json_histories, "BLOCK", 16)
    rows = [*HISTORIES, ("日本", ["ü"])]
    text = "".join(json.dumps({"user_id": user, "items": items}, ensure_ascii=False) + "\n" for user, items in rows)
    (tmp_path / "asked").write_bytes(FORMS[form](text))
    users = read_histories(tmp_path / "asked")
    for start, stop in ((0, 24), (4, 5), (5, 12), (20, 24), (23, 24)):
        assert users.read(start, stop).rows() == rows[start:stop]
    if form != "CR and LF":
        (tmp_path / "plain").write_text(text, encoding="utf-8")
        assert users.fingerprint() == read_histories(tmp_path / "plain").fingerprint()
    (tmp_path / "asked").write_bytes(FORMS[form](text + "{}\n"))
    with pytest.raises(DataError, match=r"line 25: found \{\}"):
        read_histories(tmp_path / "asked")


def test_any_part_of_parquet(tmp_path):
    table = pl.DataFrame(HISTORIES, schema=["user_id", "items"], orient="row")
    table.write_parquet(tmp_path / "asked", row_group_size=4)
    (tmp_path / "folder").mkdir()
    for number, (first, last) in enumerate(((0, 3), (3, 3), (3, 15), (15, 23))):
        table[first:last].write_parquet(tmp_path / "folder" / f"{number}.parquet")
    for name in ("asked", "folder"):
        users = read_histories(tmp_path / name)
        assert isinstance(users, ParquetUsers)
        assert len(users) == 23
        for start, stop in ((0, 23), (0, 3), (2, 4), (3, 15), (14, 23), (22, 23)):
            assert users.read(start, stop).rows() == HISTORIES[start:stop]


def test_whole_numbers_are_ids(tmp_path):
    pl.DataFrame({"user_id": [1, 2], "items": [[3, 4], [5]], "more": ["", ""]}).write_parquet(tmp_path / "asked")
    assert read_histories(tmp_path / "asked").read(0, 2).rows() == [("1", ["3", "4"]), ("2", ["5"])]


PARQUET = {
    "no items": ({"user_id": ["a"]}, r"asked: column items is missing. Expected user_id"),
    "texts": ({"user_id": ["a"], "items": ["b"]}, r"asked: column items has String. Expected"),
    "floats": ({"user_id": [1.5], "items": [["b"]]}, r"asked: column user_id holds 1.5, not a whole number"),
    "twice": ({"user_id": ["a", "b", "a"], "items": [["b"]] * 3}, r"row 2 .*: user 'a' comes a second time"),
    "no user": ({"user_id": ["a", None], "items": [["b"]] * 2}, r"row 1 \(the first is 0\): user_id is empty"),
    "no history": ({"user_id": ["a", "b"], "items": [["b"], None]}, r"row 1 .*: items is empty"),
    "no item": ({"user_id": ["a", "b"], "items": [["b"], ["x", None]]}, r"row 1 .*: an item is empty"),
    "none": ({"user_id": [], "items": []}, r"asked: empty"),
}


@pytest.mark.parametrize("case", PARQUET)
def test_bad_parquet(tmp_path, case):
    columns, message = PARQUET[case]
    schema = {"user_id": pl.String, "items": pl.List(pl.String)} if case == "none" else None
    pl.DataFrame(columns, schema=schema).write_parquet(tmp_path / "asked")
    with pytest.raises(DataError, match=message):
        read_histories(tmp_path / "asked").read(0, len(columns["user_id"]))


def test_places_without_histories(tmp_path):
    with pytest.raises(DataError, match=r"the folder has no .parquet file"):
        read_histories(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing")
    for path in (tmp_path, tmp_path / "x.parquet"):
        with pytest.raises(DataError, match=r"x.parquet: not a readable Parquet file"):
            read_histories(path)


def test_equal_hashes_are_no_equal_users(tmp_path, monkeypatch):
    """With a hash that tells nobody apart the right user is named, and different ones are let through."""
    monkeypatch.setattr(json_histories, "hash", lambda text: 1, raising=False)
    monkeypatch.setattr(users_module, "hash", lambda text: 1, raising=False)
    (tmp_path / "good").write_text(lines(HISTORIES))
    assert len(JsonUsers(tmp_path / "good")) == 23
    (tmp_path / "bad").write_text(lines([*HISTORIES, HISTORIES[4]]))
    with pytest.raises(DataError, match=r"bad, line 24: user 'n4' comes a second time"):
        JsonUsers(tmp_path / "bad")
