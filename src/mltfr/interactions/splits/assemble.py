"""From grouped interactions and split lengths to a split: items are coded by the training split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.interactions.histories import UNKNOWN, Histories
from mltfr.interactions.log import Grouped, Ints
from mltfr.interactions.split import Examples, OtherItems, Split
from mltfr.interactions.splits.lengths import SplitLengths
from mltfr.interactions.vocabulary import Vocabulary


class TrainingItems:
    """Counts the items of the training split, a piece at a time, and codes them in order of first appearance.

    Args:
        items: number of distinct items.
    """

    def __init__(self, items: int) -> None:
        self.first: Ints = np.full(items, np.iinfo(np.int64).max)        # earliest training row of every item
        self.counts: Ints = np.zeros(items, np.int64)

    def add(self, items: npt.NDArray[np.int32], rows: Ints) -> None:
        """Count training interactions: their item indices, and their rows in the order of time."""
        np.minimum.at(self.first, items, rows)
        self.counts += np.bincount(items, minlength=len(self.counts))

    def codes(self) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Return the indices of the items of codes 1..I, and the code of every index, `UNKNOWN` beside training."""
        known = np.flatnonzero(self.counts)
        known = known[np.argsort(self.first[known], kind="stable")]
        codes = np.full(len(self.counts), UNKNOWN, np.int32)
        codes[known] = np.arange(1, len(known) + 1, dtype=np.int32)
        return known, codes


def make_vocabulary(item_ids: pl.Series, counts: Ints) -> Vocabulary:
    """Return the vocabulary of items `[I]` in the order of their codes, with their training counts `[I]`."""
    return Vocabulary(tuple(item_ids), np.concatenate([np.zeros(1, np.int64), counts]))


def assemble(
    method: str,
    grouped: Grouped,
    lengths: SplitLengths,
    test: Examples | None = None,
    held: npt.NDArray[np.bool_] | None = None,
) -> Split:
    """Put a split together.

    Args:
        method: how the split was made.
        grouped: all interactions.
        lengths: the stretches of every user.
        test: the test examples; those of the lengths if not given.
        held: which items are in no training split, `[I]`; None for none.

    Raises:
        DataError: no user has a test example, or there is no training split.
    """
    lengths.require(method)
    user_lengths = np.diff(grouped.offsets)
    position = np.arange(len(grouped.order)) - np.repeat(grouped.offsets[:-1], user_lengths)
    in_training = position < np.repeat(lengths.train, user_lengths)
    if held is not None:
        in_training &= ~held[grouped.items]
    training = TrainingItems(len(grouped.item_ids))
    training.add(grouped.items[in_training], grouped.order[in_training])
    known, codes = training.codes()
    items, others = codes[grouped.items], np.flatnonzero(codes == UNKNOWN)
    place = np.full(len(codes), -1, np.int32)
    place[others] = np.arange(len(others), dtype=np.int32)
    return Split(
        method=method,
        user_ids=tuple(grouped.user_ids),
        vocabulary=make_vocabulary(grouped.item_ids.gather(known), training.counts[known]),
        histories=Histories(grouped.offsets, items),
        train_length=lengths.train,
        validation=lengths.examples("validation"),
        test=test if test is not None else lengths.examples("test"),
        left_out={reason: count for reason, count in lengths.left_out.items() if count},
        others=OtherItems(tuple(grouped.item_ids.gather(others)), place[grouped.items[items == UNKNOWN]]),
    )
