"""Preparing a set: it holds what the log gives in memory, and says of bad input what reading it in memory says."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import polars as pl
import pytest

from mltfr.errors import MissingExtraError, MltfrError, OutputError
from mltfr.interactions import FilterConfig, SplitConfig, apply_filters, database, load_interactions, prepare, split
from mltfr.interactions import prepared as layout
from mltfr.interactions.prepare import memory_bytes
from support.log_files import files_of, shuffled_frame, walks, write

LITTLE = 20_000
"""Bytes of memory that a preparation is given."""
making = importlib.import_module("mltfr.interactions.prepare")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return shuffled_frame()


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


def test_amounts_of_memory():
    assert [memory_bytes(text) for text in ("512M", "2g", "1.5 GB", "1048576", "4GiB")] == [
        512 << 20, 2 << 30, 3 << 29, 1 << 20, 4 << 30
    ]  # fmt: skip
    for wrong in ("much", "10", "-1G", ""):
        with pytest.raises(MltfrError, match="expected an amount of at least 1M"):
            memory_bytes(wrong)
