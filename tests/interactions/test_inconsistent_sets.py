"""Prepared sets whose files do not fit together, though the manifest lists them as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mltfr.errors import DataError
from mltfr.interactions import FilterConfig, load_interactions, prepare
from mltfr.interactions.prepared import FILES
from mltfr.storage.folder import describe_file
from support.log_files import shuffled_frame, write
from support.manifests import change_sealed


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    prepare(write(shuffled_frame(), folder / "log.csv", "text"), folder / "set", filters=FilterConfig(core=2))
    return folder / "set"


def array(name, change):
    """Change an array of a set, which is sealed again."""

    def work(folder):
        np.save(folder / name, change(np.load(folder / name)))

    return work


def column(name, of, change):
    def work(folder):
        pl.read_parquet(folder / name).with_columns(change(pl.col(of))).write_parquet(folder / name)

    return work


def put(place, value):
    def change(values):
        values[place] = value
        return values

    return change


INCONSISTENT = {
    "item code too large": (array("items.npy", put(3, 10_000)), "an item code is out of range"),
    "padding as an item": (array("items.npy", put(3, 0)), "an item code is out of range"),
    "item code of no kind": (array("items.npy", put(-1, -2)), "an item code is out of range"),
    "items lacking": (array("items.npy", lambda a: a[:-1]), "item codes: int32"),
    "items of another type": (array("items.npy", lambda a: a.astype(np.int64)), "item codes: int64"),
    "items in a matrix": (array("items.npy", lambda a: a[None]), "item codes: int32"),
    "offsets not from 0": (array("offsets.npy", put(0, 1)), "the offsets do not increase from 0"),
    "offsets that fall": (array("offsets.npy", put(2, 0)), "the offsets do not increase from 0"),
    "offsets lacking": (array("offsets.npy", lambda a: a[1:]), "offsets: int64"),
    "no offsets": (array("offsets.npy", lambda a: a[:0]), "offsets: int64"),
    "one offset": (array("offsets.npy", lambda a: a[0]), "offsets: int64"),
    "training below 0": (array("training_lengths.npy", put(0, -1)), "."),
    "training too long": (array("training_lengths.npy", put(0, 10_000)), "training history is longer than"),
    "training lengths differ": (array("training_lengths.npy", lambda a: a + (a == a.max())), "."),
    "training items lacking": (array("training_items.npy", lambda a: a[1:]), "training items: int32"),
    "unknown item in training": (array("training_items.npy", put(0, -1)), "item code of training is out of range"),
    "another item in training": (array("training_items.npy", lambda a: a % a.max() + 1), "training counts are not"),
    "example of nobody": (array("test.npy", put((0, 0), 10_000)), "a user of test is out of range"),
    "example of user -1": (array("validation.npy", put((0, 0), -1)), "a user of validation is out of range"),
    "example in training": (array("test.npy", put((1, 0), 0)), "example of test is not among the user's held-out"),
    "example after the end": (array("test.npy", put((1, 0), 10_000)), "example of test is not among the user's held"),
    "three rows of examples": (array("test.npy", lambda a: np.vstack([a, a[:1]])), "."),
    "examples as fractions": (array("test.npy", lambda a: a + 0.5), "users of test: float64"),
    "a user twice": (column("users.parquet", "user_id", lambda c: c.first()), "the id of a user is missing, or stands"),
    "a user without id": (column("users.parquet", "user_id", lambda c: c.shift(1)), "the id of a user is missing"),
    "a user lacking": (lambda f: head(f / "users.parquet"), "offsets: int64"),
    "an item twice": (column("vocabulary.parquet", "item_id", lambda c: c.first()), "id of an item is missing, or"),
    "an item without id": (column("vocabulary.parquet", "item_id", lambda c: c.shift(1)), "the id of an item is missi"),
    "users as numbers": (column("users.parquet", "user_id", lambda c: c.cum_count()), "the id of a user is no text"),
    "an item lacking": (lambda f: head(f / "vocabulary.parquet"), "."),
    "other counts": (column("vocabulary.parquet", "count", lambda c: c + 1), "the training counts are not those"),
    "counts as fractions": (column("vocabulary.parquet", "count", lambda c: c * 1.0), "training counts: float64"),
    "counts as texts": (column("vocabulary.parquet", "count", lambda c: c.cast(pl.String)), "."),
    "fewer users than announced": (
        lambda f: change_sealed(f / "manifest.json", lambda m: m.update(users=1)),
        "its counts are not those of the files",
    ),
}


def head(path):
    frame = pl.read_parquet(path)
    frame.head(len(frame) - 1).write_parquet(path)


@pytest.mark.parametrize("case", INCONSISTENT)
def test_files_that_do_not_fit_together_though_they_are_listed(tmp_path, made, case):
    alter, message = INCONSISTENT[case]
    folder = tmp_path / "set"
    shutil.copytree(made, folder)
    alter(folder)
    listed = {name: describe_file(folder / name) for name in FILES}
    change_sealed(folder / "manifest.json", lambda manifest: manifest.update(files=listed))
    with pytest.raises(DataError, match=rf"set: damaged, or of another version \(.*{message}") as caught:
        load_interactions(folder)
    assert str(caught.value).endswith(f"Make it again: mltfr data prepare FILE --out {folder}")
    assert "\n" not in str(caught.value)
