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
