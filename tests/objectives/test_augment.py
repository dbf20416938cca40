from __future__ import annotations

from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltfr.interactions.collate import pad_right_aligned
from mltfr.objectives.augment import crop, mask, reorder, trimmed

TOKEN = 100
rows_of_codes = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=12), min_size=1, max_size=5)
seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0.01, 1)


def padded(rows):
    return pad_right_aligned([np.array(row, np.int32) for row in rows], 12)


def unpadded(view):
    assert (np.diff((view > 0).astype(int), axis=1) >= 0).all()
    return [row[row > 0].tolist() for row in view]


@given(rows_of_codes, shares, seeds)
def test_a_crop_is_a_contiguous_part(rows, share, seed):
    for row, view in zip(rows, unpadded(crop(padded(rows), share, np.random.default_rng(seed))), strict=True):
        size = max(1, floor(len(row) * share))
        assert len(view) == size
        assert view in [row[start : start + size] for start in range(len(row) - size + 1)]


@given(rows_of_codes, st.floats(0.01, 0.99), seeds)
def test_a_mask_hides_as_many_as_it_should_and_moves_nothing(rows, share, seed):
    for row, view in zip(rows, unpadded(mask(padded(rows), share, TOKEN, np.random.default_rng(seed))), strict=True):
        assert len(view) == len(row)
        assert view.count(TOKEN) == floor(len(row) * share) < len(row)
        assert all(seen in (item, TOKEN) for item, seen in zip(row, view, strict=True))


@given(rows_of_codes, shares, seeds)
def test_a_reordering_is_a_permutation_inside_one_window(rows, share, seed):
    rows = [list(range(1, len(row) + 1)) for row in rows]  # all different, so that a move is seen
    for row, view in zip(rows, unpadded(reorder(padded(rows), share, np.random.default_rng(seed))), strict=True):
        assert sorted(view) == row
        moved = [place for place, (item, seen) in enumerate(zip(row, view, strict=True)) if item != seen]
        assert not moved or moved[-1] - moved[0] < floor(len(row) * share)


@given(rows_of_codes, seeds)
def test_the_input_is_left_alone(rows, seed):
    items = padded(rows)
    before = items.copy()
    random = np.random.default_rng(seed)
    for view in (crop(items, 0.6, random), mask(items, 0.3, TOKEN, random), reorder(items, 0.6, random)):
        view[:] = 7
    assert np.array_equal(items, before)


@pytest.mark.parametrize(("augment", "outcomes", "rarest"), [
    (lambda items, rng: crop(items, 0.6, rng), 3, 1 / 3),             # parts of 3 items
    (lambda items, rng: mask(items, 0.3, TOKEN, rng), 5, 1 / 5),      # one item is hidden
    (lambda items, rng: reorder(items, 0.6, rng), 14, 1 / 18),        # 3 windows, 6 orders, 4 of them twice
], ids=["crop", "mask", "reorder"])  # fmt: skip
def test_every_outcome_has_its_chance(augment, outcomes, rarest):
    items = np.tile(np.arange(1, 6), (6000, 1))
    found, counts = np.unique(augment(items, np.random.default_rng(0)), axis=0, return_counts=True)
    assert len(found) == outcomes
    assert counts.min() > 0.8 * 6000 * rarest


def test_trimming_keeps_the_longest_row_whole():
    assert trimmed(np.array([[0, 0, 0, 1], [0, 0, 2, 3]])).tolist() == [[0, 1], [2, 3]]
