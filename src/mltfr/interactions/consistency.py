"""Whether what was read of a split fits together; a checksum says only that it is what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.interactions.histories import UNKNOWN
from mltfr.interactions.split import Examples, Split

PIECE = 1 << 20
"""Item codes that are looked at together."""


def check_consistent(split: Split) -> None:
    """Check types, lengths and values of a split's arrays against each other, in one pass over the item codes.

    Raises:
        ValueError: two of them do not fit together; the message says which.
    """
    users, items = len(split.user_ids), len(split.vocabulary)
    _array("offsets", split.histories.offsets, np.int64, users + 1)
    _array("training lengths", split.train_length, np.int64, users)
    _array("training counts", split.vocabulary.counts, np.int64, items + 1)
    _array("item codes", split.histories.items, np.int32, int(split.histories.offsets[-1]))
    sizes = split.histories.lengths
    _require(split.histories.offsets[0] == 0 and (sizes >= 0).all(), "the offsets do not increase from 0")
    _require((split.train_length >= 0).all(), "a training length is negative")
    _require((split.train_length <= sizes).all(), "a training history is longer than the user's whole history")
    check_ids(split.vocabulary.ids, "an item")
    for name, examples in (("validation", split.validation), ("test", split.test)):
        _check_examples(name, examples, split, sizes)
    for piece in _pieces(split.histories.items):
        _require(piece.min() >= UNKNOWN and piece.max() <= items and piece.all(), "an item code is out of range")
    if not users:  # the run was shared without them
        return
    if split.training is None:
        counted = len(split.train_histories().items)
        _require(split.vocabulary.counts.sum() == counted, "the training counts are not those of the histories")
        return
    _array("training items", split.training.items, np.int32, int(split.train_length.sum()))
    counts = np.zeros(items + 1, np.int64)
    for piece in _pieces(split.training.items):
        _require(piece.min() > 0 and piece.max() <= items, "an item code of training is out of range")
        counts += np.bincount(piece, minlength=items + 1)
    _require((counts == split.vocabulary.counts).all(), "the training counts are not those of the histories")


def check_ids(ids: pl.Series, whose: str) -> None:
    """Check that a column holds texts, none of them twice.

    Raises:
        ValueError: one is missing, or stands there twice, or they are no texts.
    """
    _require(ids.dtype == pl.String, f"the id of {whose} is no text")
    twice = ids.null_count() or ids.n_unique() < len(ids)
    _require(not twice, f"the id of {whose} is missing, or stands there twice")


def _check_examples(name: str, examples: Examples, split: Split, sizes: npt.NDArray[np.int64]) -> None:
    user, cut = examples.user, examples.cut
    _array(f"users of {name}", user, np.int64, len(cut))
    _array(f"cuts of {name}", cut, np.int64, len(user))
    _require(((user >= 0) & (user < len(sizes))).all(), f"a user of {name} is out of range")
    there = (cut >= 0) & (cut < sizes[user])
    held_out = there & (cut >= split.train_length[user])
    held_out[there] |= split.targets(Examples(user[there], cut[there])) == UNKNOWN  # of an item that is held out
    _require(held_out.all(), f"an example of {name} is not among the user's held-out interactions")


def _array(name: str, array: npt.NDArray[Any], dtype: npt.DTypeLike, length: int) -> None:
    found, expected = (array.dtype, array.shape), (np.dtype(dtype), (length,))
    _require(found == expected, f"{name}: {found[0]} {list(found[1])}, expected {expected[0]} {list(expected[1])}")


def _pieces(array: npt.NDArray[np.int32]) -> Iterator[npt.NDArray[np.int32]]:
    return (array[start : start + PIECE] for start in range(0, len(array), PIECE))


def _require(true: Any, problem: str) -> None:
    if not true:
        raise ValueError(problem)
