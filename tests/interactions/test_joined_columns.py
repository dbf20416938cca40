"""Several columns as one item id."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from mltfr.cli.data import app
from mltfr.errors import DataError
from mltfr.interactions import FilterConfig, load_interactions, prepare

ROWS = [
    ("u1", "AC|DC", "Thunderstruck", 1, 10), ("u1", "AC", "DC|Thunderstruck", 2, 11), ("u1", "AC\\", "DC", 3, 12),
    ("u2", "Sigur Rós", 'Untitled, "4"', 4, 13), ("u2", "AC|DC", " Thunderstruck ", 1, 14),
]  # fmt: skip
TABLE = pl.DataFrame(ROWS, schema=["user", "artist", "track", "disc", "time"], orient="row")
IDS = [
    "AC\\|DC|Thunderstruck", "AC|DC\\|Thunderstruck", "AC\\\\|DC", 'Sigur Rós|Untitled, "4"', "AC\\|DC|Thunderstruck"
]  # fmt: skip


def written(folder, form, table=TABLE):
    path = folder / f"log.{form}"
    match form:
        case "parquet":
            table.write_parquet(path)
        case "jsonl":
            table.write_ndjson(path)
        case "csv":
            table.write_csv(path)
        case "tsv":
            table.write_csv(path, separator="\t")
    return path


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv", "tsv"])
def test_columns_are_joined_in_every_format(tmp_path, form):
    path = written(tmp_path, form)
    log = load_interactions(path, item_column="artist,track")
    assert log.frame["item_id"].to_list() == IDS
    made = prepare(path, tmp_path / "set", item_column="artist, track")
    assert made.fingerprint() == log.fingerprint()
    swapped = load_interactions(path, item_column="track,artist", where="disc = 4 and artist = 'Sigur Rós'")
    assert swapped.frame["item_id"].to_list() == ['Untitled, "4"|Sigur Rós']


def test_white_space_around_parts_is_told(tmp_path):
    path = written(tmp_path, "csv")
    note = "white space was stripped off the parts of item_id: 1, as in ' Thunderstruck '."
    assert load_interactions(path, item_column="artist,track").notes == (note,)
    assert prepare(path, tmp_path / "set", item_column="artist,track").notes == (note,)
    assert load_interactions(path, item_column="artist,disc").notes == ()


def test_tables_in_memory_and_numbers():
    log = load_interactions(TABLE.with_columns(pl.col("disc").cast(pl.Float64)), item_column="artist,disc,track")
    assert log.frame["item_id"][3] == 'Sigur Rós|4|Untitled, "4"'
    objects = TABLE.to_pandas().astype({"disc": object})
    assert load_interactions(objects, item_column="disc,artist").frame["item_id"][2] == "3|AC\\\\"
    with pytest.raises(DataError, match=r"column 'disc' holds 1.5, not a whole number"):
        load_interactions(TABLE.with_columns(pl.col("disc") + 0.5), item_column="artist,disc")
    mixed = {"user": ["u"] * 3, "artist": ["a"] * 3, "disc": [1, 2, "x"]}
    with pytest.raises(DataError, match=r"row 2 .*item_id, part 2 is a string \(x\). It is a number in 2 rows"):
        load_interactions(mixed, item_column="artist,disc")


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_an_item_of_which_a_part_is_missing_is_missing(tmp_path, form):
    parts = TABLE.with_columns(track=pl.when(pl.col("time") == 12).then(None).otherwise("track"))
    path = written(tmp_path, form, parts)
    with pytest.raises(DataError, match=r"(line 4|line 3|row 2 .*): item_id is empty"):
        load_interactions(path, item_column="artist,track")
    with pytest.warns(match="invalid rows dropped: 1"):
        assert len(load_interactions(path, item_column="artist,track", skip_invalid=True)) == 4


def test_columns_that_are_not_there(tmp_path):
    path = written(tmp_path, "csv")
    with pytest.raises(DataError, match=r"no column 'trak'. The file has 'user', 'artist', .* Correct --item-column"):
        load_interactions(path, item_column="artist,trak")
    with pytest.raises(DataError, match=r"no column 'track'. The file has"):
        load_interactions(path.rename(tmp_path / "a.csv"), columns="user,item,a,b,time", item_column="item,track")
    comma = TABLE.rename({"track": "artist,track"})
    assert load_interactions(comma, item_column="artist,track").frame["item_id"][0] == "Thunderstruck"
    doubled = pl.DataFrame(ROWS, schema=["user", "artist", "track", "track2", "time"], orient="row")
    doubled.rename({"track2": "Track"}).write_csv(path)
    path.write_text(path.read_text().replace("Track", "track", 1))
    with pytest.raises(DataError, match=r"2 columns are called 'track'. Rename all but one of them"):
        load_interactions(path, item_column="artist,track")


@pytest.mark.parametrize("item", ["artist,artist", "artist,user", "artist,time", "track,artist,track"])
def test_a_column_is_read_once(item):
    with pytest.raises(DataError, match=rf"must be different columns, got user, {', '.join(item.split(','))}, time"):
        load_interactions(TABLE, item_column=item)


def test_a_part_that_is_taken_for_the_time_can_be_had():
    table = TABLE.rename({"time": "second"}).with_columns(date=pl.col("disc"))
    with pytest.raises(
        DataError, match=r"got user, artist, date, date\. 'date' is taken for .* --timestamp-column, or r"
    ):
        load_interactions(table, item_column="artist,date")
    log = load_interactions(table, item_column="artist,date", timestamp_column="second")
    assert load_interactions(table.rename({"date": "day"}), item_column="artist,day").fingerprint() != log.fingerprint()
    assert log.frame["item_id"][0] == "AC\\|DC|1"
    with pytest.raises(DataError, match=r"got user, artist, artist, second\. Name them with --user-column"):
        load_interactions(table, item_column="artist,artist", timestamp_column="second")


def test_the_command_line(tmp_path):
    path = written(tmp_path, "csv")
    asked = ["--item-column", "artist,track"]
    printed = CliRunner().invoke(app, ["describe", str(path), "--json", *asked])
    assert json.loads(printed.stdout)["items"] == 4
    assert CliRunner().invoke(app, ["prepare", str(path), "--out", str(tmp_path / "set"), *asked]).exit_code == 0


def test_same_time_looks_at_the_joined_id():
    twice = pl.concat([TABLE, TABLE[:1].with_columns(track=pl.lit("Hells Bells"))])
    assert len(load_interactions(twice, item_column="artist,track")) == 6
    with pytest.raises(DataError, match=r"repeats row 0 .*item 'AC\\\\\\|DC\|Thunderstruck'"):
        load_interactions(pl.concat([TABLE, TABLE[:1]]), item_column="artist,track")
    assert FilterConfig().where is None
