"""A prepared set on disk: opened, described, damaged, unfinished, and where none may be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import DataError, OutputError
from mltfr.interactions import FilterConfig, apply_filters, load_interactions, prepare
from mltfr.interactions.statistics import describe, describe_prepared
from support.log_files import files_of, shuffled_frame, write
from support.manifests import change_sealed


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    prepare(write(shuffled_frame(), folder / "log.csv", "text"), folder / "set", filters=FilterConfig(core=2))
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


ASKED = {
    "an unknown format": ("log.csv", {"format": "foo"}, r"Unknown format 'foo'"),
    "no file": ("nothing.csv", {}, r"nothing.csv: no such file or folder"),
    "columns of a table that has names": ("log.csv", {"format": "parquet", "columns": "a,b"}, r"--columns is for"),
    "columns of Parquet parts": (".", {"format": "parquet", "columns": "a,b"}, r"--columns is for"),
}


@pytest.mark.parametrize("case", ASKED)
def test_a_log_is_refused_alike_read_and_prepared(made, tmp_path, case):
    name, options, message = ASKED[case]
    with pytest.raises(DataError, match=message) as one:
        load_interactions(made / name, **options)
    with pytest.raises(DataError, match=message) as other:
        prepare(made / name, tmp_path / "set", **options)
    assert str(one.value) == str(other.value)
    assert not (tmp_path / "set").exists()


def test_a_set_is_prepared_no_second_time(made, tmp_path):
    for options in ({}, {"format": "parquet"}):
        with pytest.raises(DataError, match=r"is a prepared set, read before. Fit it, or give the log"):
            prepare(made / "set", tmp_path / "set", **options)


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
    return lambda folder: change_sealed(folder / "manifest.json", lambda manifest: manifest.update({name: value}))


def flip(folder):
    content = bytearray((folder / "items.npy").read_bytes())
    content[-3] ^= 1
    (folder / "items.npy").write_bytes(content)


def interrupt(folder):
    (folder / "manifest.json").unlink()
    (folder / ".work").mkdir()
    (folder / ".work" / "written-by-mltfr").touch()


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
    with pytest.raises(OutputError, match=r"holds a finished prepared set\. Use it: mltfr fit .*set --out RUN"):
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
