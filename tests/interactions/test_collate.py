"""Collation of histories."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mltfr.interactions import UNKNOWN, length_sorted_batches, pad_right_aligned
from mltfr.interactions.collate import has_known_item

HISTORIES = st.lists(st.lists(st.integers(1, 9) | st.just(UNKNOWN), max_size=12), min_size=1, max_size=8)


def arrays(histories: list[list[int]]) -> list[np.ndarray]:
    return [np.array(history, np.int32) for history in histories]


def test_padding_comes_first_and_the_newest_item_last() -> None:
    batch = pad_right_aligned(arrays([[1, 2, 3], [4], []]), 5)
    assert batch.dtype == np.int64
    assert batch.tolist() == [[1, 2, 3], [0, 0, 4], [0, 0, 0]]


def test_unknown_items_go_before_the_history_is_cut() -> None:
    assert pad_right_aligned(arrays([[5, 6, UNKNOWN, 7, UNKNOWN]]), 2).tolist() == [[6, 7]]


def test_histories_without_known_items_are_one_column_of_padding() -> None:
    assert pad_right_aligned(arrays([[], [UNKNOWN]]), 5).tolist() == [[0], [0]]


@given(HISTORIES, st.integers(1, 6))
def test_padding_equals_the_definition(histories: list[list[int]], max_length: int) -> None:
    kept = [[item for item in history if item != UNKNOWN][-max_length:] for history in histories]
    width = max(1, *(len(history) for history in kept), 1)
    expected = [[0] * (width - len(history)) + history for history in kept]
    assert pad_right_aligned(arrays(histories), max_length).tolist() == expected


@given(HISTORIES, st.integers(1, 4))
def test_batches_hold_every_history_once_longest_first(histories: list[list[int]], size: int) -> None:
    batches = length_sorted_batches(arrays(histories), size)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(len(histories)))
    assert all(len(batch) <= size for batch in batches)
    keys = [(-len(histories[i]), i) for i in order]
    assert keys == sorted(keys)


@given(HISTORIES)
def test_has_known_item_equals_the_definition(histories: list[list[int]]) -> None:
    assert has_known_item(arrays(histories)).tolist() == [any(i != UNKNOWN for i in h) for h in histories]
