from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mltfr.interactions import load_interactions, split
from mltfr.pipeline.data import load_split, save_split


@pytest.mark.parametrize("lengths", [(4, 4, 4), (5, 2, 1, 7)])
def test_a_split_comes_back_as_it_was(tmp_path, lengths):
    rows = [(f"u{user}", f"i{(user + step) % 6}") for user, length in enumerate(lengths) for step in range(length)]
    data = split(load_interactions(pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")))
    save_split(tmp_path, data)
    loaded = load_split(tmp_path, data.method, dict(data.left_out))
    assert loaded.user_ids == data.user_ids
    assert loaded.vocabulary.item_ids == data.vocabulary.item_ids
    for name in ("offsets", "items"):
        found, expected = getattr(loaded.histories, name), getattr(data.histories, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(loaded.vocabulary.counts, data.vocabulary.counts)
    np.testing.assert_array_equal(loaded.train_length, data.train_length)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(loaded, part).user, getattr(data, part).user)
        np.testing.assert_array_equal(getattr(loaded, part).cut, getattr(data, part).cut)


WRONG = {
    "an item code": (
        "histories", pl.col("items").list.eval(pl.element() + 1), "is out of range"
    ),
    "a user twice": ("histories", pl.col("user_id").first(), "the id of a user is missing, or"),
    "training too long": ("histories", pl.col("train_length") + 9, "is longer than the user's"),
    "training without test": ("histories", pl.col("train_length") - 1, "counts are not those"),
    "counts": ("items", pl.col("count") * 2, "training counts are not those of the histories"),
    "an item twice": ("items", pl.col("item_id").first(), "the id of an item is missing, or"),
    "a user of an example": ("examples", pl.col("user") + 9, "a user of validation is out of"),
    "a cut": ("examples", pl.col("cut") - 3, "is not among the user's held-out interactions"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_split_whose_files_do_not_fit_together_is_refused(tmp_path, case):
    name, change, message = WRONG[case]
    rows = [(f"u{user}", f"i{(user + step) % 6}") for user in range(3) for step in range(5)]
    data = split(load_interactions(pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")))
    save_split(tmp_path, data)
    path = tmp_path / f"{name}.parquet"
    pl.read_parquet(path).with_columns(change).write_parquet(path)
    with pytest.raises(ValueError, match=message):
        load_split(tmp_path, data.method, dict(data.left_out))
