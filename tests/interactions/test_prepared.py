"""A prepared set holds what the log gives in memory, and says of bad input what reading it in memory says."""

from __future__ import annotations

import gzip
import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mltfr.errors import DataError, MissingExtraError, MltfrError, OutputError
from mltfr.interactions import FilterConfig, SplitConfig, apply_filters, database, load_interactions, prepare, split
from mltfr.interactions import prepared as layout
from mltfr.interactions.prepare import memory_bytes
from mltfr.interactions.statistics import describe, describe_prepared
from mltfr.interactions.synthetic import SyntheticConfig, synthetic

LITTLE = 20_000
"""Bytes of memory that a preparation is given."""
making = importlib.import_module("mltfr.interactions.prepare")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    log = synthetic(SyntheticConfig(users=250, items=90, mean_length=9), seed=5).log.frame
    place = pl.int_range(pl.len()).over("user_id")
    start = pl.col("timestamp").first().over("user_id") % 10
    log = log.with_columns(timestamp=1_700_000_000 + place * 1_000_000 + start * 100_000)  # many share a time
    return log.unique(maintain_order=True).sample(fraction=1, shuffle=True, seed=2)


def write(frame: pl.DataFrame, path: Path, form: str) -> Path:
    """Write a log as text or Parquet, its times as the form says."""
    time = pl.col("timestamp")
    if form == "floats":
        frame = frame.with_columns(time + 0.25)
    elif form == "dates":
        moments = pl.from_epoch("timestamp", time_unit="s")
        frame = frame.with_columns(moments.dt.strftime("%Y-%m-%dT%H:%M:%S")).sort("timestamp", descending=True)
    elif form == "moments":
        frame = frame.with_columns(pl.from_epoch("timestamp", time_unit="s"))
    elif form == "no times":
        frame = frame.drop("timestamp")
    elif form == "another order":
        frame = frame.select("timestamp", pl.lit("x").alias("note"), "item_id", "user_id")
    elif form == "numbers":
        numbers = [pl.col(name).str.slice(1).cast(pl.Int32) for name in ("user_id", "item_id")]
        frame = frame.with_columns(numbers)
    if form in ("moments", "numbers"):
        frame.write_parquet(path, row_group_size=300)
    elif form == "gzip":
        path.write_bytes(gzip.compress(frame.write_csv(separator="\t").encode()))
    elif form == "recbole":
        names = {"user_id": "user_id:token", "item_id": "item_id:token", "timestamp": "timestamp:float"}
        frame.rename(names).write_csv(path, separator="\t")
    elif form == "blank lines":
        path.write_text(frame.write_csv().replace("\nu0007,", "\n\nu0007,") + "\n\n")
    else:
        frame.write_csv(path, quote_style="always" if form == "quoted" else "necessary")
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


FORMS = ("text", "floats", "dates", "moments", "no times", "another order", "numbers", "gzip", "recbole", "blank lines",
         "quoted")  # fmt: skip
FILTERS = (
    {"core": 5}, {"most_recent": 4}, {"consecutive_repeats": "drop"}, {"min_user_interactions": 9},
    {"min_item_interactions": 25}, {"since": 1_702_000_000, "until": 1_708_000_000},
    {"consecutive_repeats": "drop", "min_user_interactions": 5, "core": 3, "most_recent": 6},
)  # fmt: skip
SPLITS = (
    {"method": "leave-last-n", "n": 2}, {"method": "global-time"},
    {"method": "global-time", "validation_from": 1_705_000_000, "test_from": 1_707_500_000},
)  # fmt: skip
CASES = [
    *(pytest.param(form, {}, {}, id=form) for form in FORMS),
    *(pytest.param("text", filters, {}, id=" ".join(filters)) for filters in FILTERS),
    *(pytest.param("moments", {}, division, id=str(division)) for division in SPLITS),
    pytest.param("text", FILTERS[-1], SPLITS[1], id="everything"),
]


@pytest.fixture(autouse=True)
def in_little_pieces(monkeypatch):
    """Cut the log into about ten pieces, on the way into the database and out of it."""
    monkeypatch.setattr(making, "LEAST_ROWS", 1 << 8)
    monkeypatch.setattr(making, "USERS_AT_A_TIME", 32)
    monkeypatch.setattr(database, "PIECE", 1 << 8)


def assert_is_the_split_of(prepared, log, settings) -> None:
    """What is in a prepared set is what the log gives in memory."""
    kept, report = apply_filters(log, settings["filters"])
    expected, found = split(kept, settings["split"]), prepared.split
    assert prepared.fingerprint() == log.fingerprint()
    assert prepared.report == report
    assert prepared.skipped == log.skipped
    assert found.method == expected.method
    assert list(found.user_ids) == list(expected.user_ids)
    assert found.vocabulary.item_ids == expected.vocabulary.item_ids
    np.testing.assert_array_equal(found.vocabulary.counts, expected.vocabulary.counts)
    for histories in (lambda s: s.histories, lambda s: s.train_histories()):
        np.testing.assert_array_equal(histories(found).items, histories(expected).items)
        np.testing.assert_array_equal(histories(found).offsets, histories(expected).offsets)
    np.testing.assert_array_equal(found.train_length, expected.train_length)
    for examples in (lambda s: s.validation, lambda s: s.test):
        np.testing.assert_array_equal(examples(found).user, examples(expected).user)
        np.testing.assert_array_equal(examples(found).cut, examples(expected).cut)
    assert found.left_out == expected.left_out


@pytest.mark.parametrize(("form", "filters", "division"), CASES)
def test_the_database_and_memory_give_the_same_set(tmp_path, frame, form, filters, division):
    path = write(frame, tmp_path / "log", form)
    settings = {"filters": FilterConfig(**filters), "split": SplitConfig(**division)}
    prepared = prepare(path, tmp_path / "set", memory=LITTLE, **settings)
    assert set(files_of(tmp_path / "set")) == {*layout.FILES, layout.MANIFEST}
    assert_is_the_split_of(prepared, load_interactions(path), settings)


def test_the_same_set_is_written_again(tmp_path, frame):
    path = write(frame, tmp_path / "log", "text")
    for name in ("one", "two"):
        prepare(path, tmp_path / name, memory=LITTLE)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


BAD = {
    "empty user": "u1,i1,5\n,i2,6\n ,i3,7\n",
    "empty item": "u1,i1,5\nu2,,6\n",
    "both": "u1,,5\n,i2,6\n",
    "bad time": "u1,i1,5\nu1,i2,soon\nu1,i3,\n",
    "most are dates": "u1,i1,2024-01-01\nu1,i2,5\nu1,i3,2024-01-02 10:00:00.5\nu2,i3,2024-01-02T10:00:00Z\n",
    "repeat": "u1,i1,5\nu2,i2,9\nu1,i3,4\nu1,i1,5\nu2,i2,9\nu1,i1,5\n",
    "short row": "u1,i1,5\nu1,i2\nu2,i2,9\nu2,i3,10\n",
    "long row": "u1,i1,5\nu1,i2,6,7\nu2,i2,9\nu2,i3,10\n",
    "quoted line break": 'u1,"i\n1",5\nu1,i2,\n',
    "nothing": "",
    "latin-1": "u1,i\xfc,5\n",
}  # fmt: skip


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_in_the_same_words(tmp_path, frame, case, skip):
    good = frame.head(600).write_csv(include_header=False) if case not in ("most are dates", "nothing") else ""
    text = "user_id,item_id,timestamp\n" + good + BAD[case]
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode("latin-1" if case == "latin-1" else "utf-8"))

    def outcome(read):
        try:
            return read().skipped
        except MltfrError as error:
            return str(error)

    expected = outcome(lambda: load_interactions(path, skip_invalid=skip))
    found = outcome(lambda: prepare(path, tmp_path / "set", memory=LITTLE, skip_invalid=skip))
    if isinstance(expected, int) and not isinstance(found, int):  # too little is left to split
        expected = outcome(lambda: split(load_interactions(path, skip_invalid=skip)))
    assert found == expected
    assert isinstance(found, int) == (tmp_path / "set").exists()


def walks(frame, path: Path, form: str) -> Path:
    """Write a log without times in a form that is read whole."""
    histories = frame.sort("timestamp", maintain_order=True).group_by("user_id", maintain_order=True).agg("item_id")
    lines = [(user, " ".join(items)) for user, items in histories.iter_rows()]
    if form == "jsonl":
        frame.write_ndjson(path)
    elif form == "zstd":
        path.write_bytes(zstandard(frame.write_csv().encode()))
    elif form == "pairs":
        path.write_text("".join(f"{user} {item}\n" for user, item, _ in frame.iter_rows()))
    elif form == "folder":
        path.mkdir()
        (path / "train.txt").write_text("a 1 2 3\nb 2 3\n")
        (path / "test.txt").write_text("a 4\nb 1\n")
    else:
        path.write_text("".join(f"{user}{' : ' if form == 'colon' else ' '}{items}\n" for user, items in lines))
    return path


def zstandard(content: bytes) -> bytes:
    import pyarrow

    return pyarrow.compress(content, "zstd", asbytes=True)


@pytest.mark.parametrize("form", ["jsonl", "zstd", "pairs", "sequence", "colon", "folder"])
def test_other_formats_are_read_whole(tmp_path, frame, form):
    path = walks(frame, tmp_path / "log", form)
    prepared = prepare(path, tmp_path / "set", memory=LITTLE)
    assert_is_the_split_of(prepared, load_interactions(path), {"filters": FilterConfig(), "split": SplitConfig()})
    assert prepared.split.method == ("given" if form == "folder" else "leave-one-out")


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
@pytest.mark.parametrize("size", [2_000, 15_000, 30_000])
def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(tmp_path, frame, size):
    import resource

    path = write(frame, tmp_path / "log", "text")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # fails as a full disk does
    try:
        with pytest.raises(OutputError, match=r"set: (the disk is full|cannot be written)"):
            prepare(path, tmp_path / "set", memory=LITTLE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "set").exists()


def test_without_duckdb_the_extra_is_named(tmp_path, frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mltfr\[large\]'"):
        prepare(write(frame, tmp_path / "log", "text"), tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory, frame) -> Path:
    folder = tmp_path_factory.mktemp("made")
    prepare(write(frame, folder / "log.csv", "text"), folder / "set", filters=FilterConfig(core=2))
    return folder


def test_load_interactions_opens_a_set(made):
    prepared = load_interactions(made / "set")
    assert prepared.folder == made / "set"
    assert prepared.filters == FilterConfig(core=2)
    assert prepared.source == "log.csv"
    assert isinstance(prepared.split.histories.items.base, np.memmap | np.ndarray)
    assert not prepared.split.histories.items.flags.writeable
    with pytest.raises(DataError, match=r"is a prepared set, read and checked before. Leave out the options"):
        load_interactions(made / "set", format="csv")


def test_description(made):
    found, log = describe_prepared(load_interactions(made / "set")), load_interactions(made / "log.csv")
    expected = describe(apply_filters(log, FilterConfig(core=2))[0])
    assert (found.users, found.interactions) == (expected.users, expected.interactions)
    assert found.history_length == expected.history_length
    assert found.test_examples == expected.test_users
    assert found.cold_test_items == expected.cold_test_items
    assert found.filters["before"] == len(log)
    assert found.fingerprint == log.fingerprint()


def change(name, value):
    def damage(folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest[name] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return damage


def flip(folder):
    content = bytearray((folder / "items.npy").read_bytes())
    content[-3] ^= 1
    (folder / "items.npy").write_bytes(content)


def interrupt(folder):
    (folder / "manifest.json").unlink()
    (folder / ".work").mkdir()


DAMAGE = {
    "a bit": (flip, r"items.npy: damaged \(its checksum differs .*\). Make it again: mltfr data prepare FILE --out"),
    "cut": (lambda f: (f / "users.parquet").write_bytes(b"PAR1"), r"users.parquet: damaged"),
    "missing": (lambda f: (f / "offsets.npy").unlink(), r"offsets.npy: missing, though the manifest lists it"),
    "format": (change("format", 99), r"written in prepared set format 99 by mltfr .*; this is mltfr .*reads format 1"),
    "no files": (change("files", 3), r"manifest.json: damaged, or of another version"),
    "filters": (change("filters", {"cores": 1}), r"damaged, or of another version .*unknown setting 'cores'"),
    "unfinished": (interrupt, r"this prepared set is not finished. Make it again: mltfr data prepare FILE --out"),
    "killed while finishing": (lambda f: (f / "manifest.json").unlink(), r"this prepared set is not finished"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_and_unfinished_sets(tmp_path, made, case):
    damage, message = DAMAGE[case]
    shutil.copytree(made / "set", tmp_path / "set")
    damage(tmp_path / "set")
    with pytest.raises(DataError, match=message):
        load_interactions(tmp_path / "set")


def test_places_that_are_taken(tmp_path, made):
    log = made / "log.csv"
    with pytest.raises(OutputError, match="holds something finished"):
        prepare(log, made / "set")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty and not an unfinished prepared set"):
        prepare(log, tmp_path / "other")
    with pytest.raises(OutputError, match="is a file"):
        prepare(log, log)
    shutil.copytree(made / "set", tmp_path / "set")
    interrupt(tmp_path / "set")
    prepare(log, tmp_path / "set", filters=FilterConfig(core=2))
    assert files_of(tmp_path / "set") == files_of(made / "set")


def test_amounts_of_memory():
    assert [memory_bytes(text) for text in ("512M", "2g", "1.5 GB", "1048576", "4GiB")] == [
        512 << 20, 2 << 30, 3 << 29, 1 << 20, 4 << 30
    ]  # fmt: skip
    for wrong in ("much", "10", "-1G", ""):
        with pytest.raises(MltfrError, match="expected an amount of at least 1M"):
            memory_bytes(wrong)
