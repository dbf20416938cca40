"""What a job skips or cannot answer as asked is counted over all of its parts, also when it is continued."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from mltfr import Recommender
from mltfr.batch import (
    JsonUsers,
    ParquetUsers,
    PartScorer,
    PartsFolder,
    describe_job,
    read_histories,
    recommend_to_file,
    recommend_to_folder,
)
from mltfr.errors import DataError
from mltfr.inference import Listed, RecommendationSpec, Shortfalls
from mltfr.interactions import load_interactions
from mltfr.pipeline import load_inference_model

EVERYTHING = [f"i{number:04d}" for number in range(120)]
ASKED = {"all": EVERYTHING, "most": EVERYTHING[3:], " spaced": ["i0001 "], "new": ["zz"], "none": [], "some": ["i0002"]}
SAID = [
    "white space was stripped off ids: 2, as in ' spaced'.",
    "1 item is not in the training data and was skipped (1 time; zz).",
    "2 histories hold no item that training knows; they get the most popular items (first: user new).",
    "users who get no item, since none is a candidate for them: 1 (all).",
    "users who get fewer than 5 items, since no more are candidates: 1.",
]


def histories(folder: Path) -> JsonUsers:
    lines = [json.dumps({"user_id": user, "items": items}) for user, items in ASKED.items()]
    (folder / "asked.jsonl").write_text("\n".join(lines))
    return JsonUsers(folder / "asked.jsonl")


@pytest.fixture(scope="module")
def scorer(run) -> PartScorer:
    return PartScorer(load_inference_model(run), RecommendationSpec(5))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_parts_add_up(tmp_path, scorer, size):
    summary = recommend_to_file(scorer, histories(tmp_path), tmp_path / "best.parquet", part_users=size)
    assert summary.shortfalls.sentences(5, {}) == SAID
    assert summary.users == 5
    assert summary.rows == len(pl.read_parquet(tmp_path / "best.parquet"))
    assert "spaced" in pl.read_parquet(tmp_path / "best.parquet")["user_id"]


def test_kept_parts_count_too(tmp_path, run, scorer):
    users = histories(tmp_path)
    folder = PartsFolder(tmp_path / "best", describe_job(run, scorer.spec, users, 2))
    straight = recommend_to_folder(scorer, users, folder, folder.begin(resume=False))
    (tmp_path / "best" / "part-00001.parquet").unlink()
    summary = recommend_to_folder(scorer, users, folder, folder.begin(resume=True))
    assert (summary.users, summary.rows, summary.kept) == (straight.users, straight.rows, 2)
    assert summary.shortfalls.counts() == straight.shortfalls.counts()
    kept = recommend_to_folder(scorer, users, folder, folder.begin(resume=True))
    assert kept.shortfalls.sentences(5, {}) == [
        "white space was stripped off ids: 2.",
        "unknown items that were skipped in parts that are kept: 1.",
        *(text.split(" (first")[0].split(" (all")[0].rstrip(".") + "." for text in SAID[2:]),
    ]


def test_shortfalls_travel_as_json():
    found = Shortfalls(short_lists=2, without_candidates=Listed.of(["a", "b", "c", "d"]))
    found.unknown_items.update(["x", "x", "y"])
    assert Shortfalls.of_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_json_histories_have_the_ids_of_a_log(tmp_path):
    line = '{"user_id": 1.0, "items": [2, 3.0, "4", " 5 ", 1e3, 12345678901234567890123]}\n'
    (tmp_path / "asked").write_text(line)
    items = ["2", "3", "4", " 5 ", "1000", "12345678901234567890123"]
    assert read_histories(tmp_path / "asked").read(0, 1).rows() == [("1", items)]
    for other in ('"1"', '" 1\\u2003"', "1"):
        (tmp_path / "twice").write_text(line + f'{{"user_id": {other}, "items": []}}\n')
        with pytest.raises(DataError, match="line 2: user '1' comes a second time"):
            JsonUsers(tmp_path / "twice")


@pytest.mark.parametrize(
    "value", ["1", "1.0", "1e3", "-0", "-0.0", "1E2", "900719925474099.0", "18446744073709551616", "9007199254740993.0",
              "1e16", "1.5", "true", '"\\u0031"', '" 1"', '"\\ud800"']
)  # fmt: skip
def test_a_number_in_json_is_one_id_in_logs_and_histories(tmp_path, value):
    (tmp_path / "asked").write_text(f'{{"user_id": {value}, "items": [{value}]}}\n')
    found = None
    for bad in ("", "bad\n"):
        (tmp_path / "log.jsonl").write_text(f'{{"user_id": {value}, "item_id": {value}}}\n' + bad)
        try:
            with warnings.catch_warnings(action="ignore"):
                log = load_interactions(tmp_path / "log.jsonl", skip_invalid=bool(bad))
            found = log.frame["user_id"][0]
            assert log.frame["item_id"][0] == found
        except DataError:
            assert found is None
    try:
        user, items = read_histories(tmp_path / "asked").read(0, 1).row(0)
    except DataError:
        assert found is None
    else:
        assert (user.strip(), items[0].strip()) == (found, found)


@pytest.mark.parametrize("value", ["1.5", "1e16", "NaN", "Infinity", "true", '"  "', '"\\ud800"', "[1]", "{}", "null"])
def test_what_is_no_id_in_json_is_named(tmp_path, value):
    (tmp_path / "asked").write_text(f'{{"user_id": "a", "items": ["i1"]}}\n{{"user_id": "b", "items": [{value}]}}\n')
    with pytest.raises(DataError, match=r"asked, line 2: found "):
        JsonUsers(tmp_path / "asked")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        *((kind, [3, 20]) for kind in (pl.Int8, pl.UInt64, pl.Float32, pl.Float64)),
        (pl.Decimal(10, 2), [Decimal(3), Decimal(20)]),
        *((kind, ["3", "20"]) for kind in (pl.Categorical, pl.Enum(["3", "20"]))),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_parquet_histories_have_the_ids_of_a_log(tmp_path, kind, values, array):
    lists = pl.Series("items", [values, values[::-1]], dtype=pl.List(kind))
    lists = lists.cast(pl.Array(kind, 2)) if array else lists
    pl.DataFrame([pl.Series("user_id", values, dtype=kind), lists]).write_parquet(tmp_path / "asked")
    assert ParquetUsers(tmp_path / "asked").read(0, 2).rows() == [("3", ["3", "20"]), ("20", ["20", "3"])]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.5, 2.0], r"column items holds 1.5, not a whole number"),
        ([1e16, 2.0], r"column items holds 1e\+16, more than a Float64 holds exactly"),
        ([True, False], r"column items has List\(Boolean\)"),
        ([float("nan"), 1.0], r"row 0 .*: an item is empty"),
        ([" ", "a"], r"row 0 .*: an item is empty"),
    ],
)
def test_what_is_no_id_in_parquet_is_named(tmp_path, values, message):
    pl.DataFrame({"user_id": ["a"], "items": [values]}).write_parquet(tmp_path / "asked")
    with pytest.raises(DataError, match=message):
        ParquetUsers(tmp_path / "asked").read(0, 1)


def test_spaces_do_not_tell_users_of_parquet_apart(tmp_path):
    pl.DataFrame({"user_id": ["a", "a "], "items": [["b"], ["c"]]}).write_parquet(tmp_path / "asked")
    with pytest.raises(DataError, match=r"row 1 .*: user 'a' comes a second time"):
        ParquetUsers(tmp_path / "asked")


def test_python_says_the_same(run, tmp_path):
    with pytest.warns() as said:
        Recommender.load(run).recommend(histories=ASKED, k=5)
    assert [str(warning.message) for warning in said] == SAID
