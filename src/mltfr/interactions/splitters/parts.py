"""What every splitter starts from and ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.histories import PADDING, UNKNOWN, Histories
from mltfr.interactions.raw import ITEM, USER
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.vocabulary import Vocabulary

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grouped:
    """Interactions gathered by user, each user's oldest first; users in order of first appearance.

    Attributes:
        user_ids: id of every user.
        offsets: int64 `[U + 1]`; user `u` owns rows `offsets[u]:offsets[u + 1]`.
        order: int64 `[T]`; row of the ungrouped frame that stands at every place.
        item_ids: id of every distinct item, in order of first appearance.
        items: int32 `[T]`; index in `item_ids` at every place.
    """

    user_ids: pl.Series
    offsets: Ints
    order: Ints
    item_ids: pl.Series
    items: npt.NDArray[np.int32]

    @property
    def lengths(self) -> Ints:
        """Interactions of every user, int64 `[U]`."""
        return np.diff(self.offsets)

    @property
    def position(self) -> Ints:
        """Place of every interaction within its user's history, int64 `[T]`."""
        return np.arange(len(self.order)) - np.repeat(self.offsets[:-1], self.lengths)


def group(frame: pl.DataFrame) -> Grouped:
    """Gather the interactions of a stably ordered frame by user."""
    user_ids, users = _codes(frame[USER])
    item_ids, items = _codes(frame[ITEM])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(users, minlength=len(user_ids)))])
    keys = (users.astype(np.int64) << 32) | np.arange(len(users))  # sorting keys is faster than a stable argsort
    keys.sort()
    order = keys & 0xFFFF_FFFF
    return Grouped(user_ids, offsets, order, item_ids, items[order])


def assemble(
    method: str,
    grouped: Grouped,
    train_length: Ints,
    validation: Examples,
    test: Examples,
    left_out: Mapping[str, int],
) -> Split:
    """Code the items by the training part and put the split together.

    Args:
        method: how the split was made.
        grouped: all interactions.
        train_length: `[U]`; the first so many interactions of a user are the training part.
        validation: examples of the validation part.
        test: examples of the test part.
        left_out: users missing from a part, by reason.

    Raises:
        DataError: no user has a test example, or there is no training part.
    """
    require_parts(method, len(grouped.user_ids), bool(train_length.any()), len(test), left_out)
    in_training = grouped.position < np.repeat(train_length, grouped.lengths)
    vocabulary, coded = _coded_by_training(grouped, in_training)
    return Split(
        method=method,
        user_ids=tuple(grouped.user_ids),
        vocabulary=vocabulary,
        histories=Histories(grouped.offsets, coded),
        train_length=train_length,
        validation=validation,
        test=test,
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def require_parts(method: str, users: int, has_training: bool, tests: int, left_out: Mapping[str, int]) -> None:
    """Check that a split has a training and a test part.

    Raises:
        DataError: it lacks one.
    """
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in left_out.items() if count)
    if not tests:
        raise DataError(
            f"The {method} split has no test example among {users:,} users ({reasons}). "
            "It needs a user with at least two interactions; use more data or another split."
        )
    if not has_training:
        raise DataError(f"The {method} split has no training part ({reasons}). Use more data or another split.")


def _coded_by_training(
    grouped: Grouped, in_training: npt.NDArray[np.bool_]
) -> tuple[Vocabulary, npt.NDArray[np.int32]]:
    """Return the training part's items, coded 1..I in order of first appearance, and all rows' codes."""
    rows, items = grouped.order[in_training], grouped.items[in_training]
    first = np.full(len(grouped.item_ids), len(grouped.order), dtype=np.int64)
    np.minimum.at(first, items, rows)
    counts = np.bincount(items, minlength=len(grouped.item_ids))
    known = np.flatnonzero(counts)
    known = known[np.argsort(first[known], kind="stable")]
    codes = np.full(len(grouped.item_ids), UNKNOWN, dtype=np.int32)
    codes[known] = np.arange(1, len(known) + 1, dtype=np.int32)
    with_padding = np.concatenate([np.zeros(PADDING + 1, np.int64), counts[known]])
    vocabulary = Vocabulary(tuple(grouped.item_ids.gather(known)), with_padding)
    return vocabulary, codes[grouped.items]


def _codes(ids: pl.Series) -> tuple[pl.Series, npt.NDArray[np.int32]]:
    """Return the distinct ids in order of first appearance, and every row's index among them."""
    distinct = ids.unique(maintain_order=True)
    known = pl.DataFrame({"id": distinct}).with_row_index("code")
    rows = ids.alias("id").to_frame().join(known, on="id", how="left", maintain_order="left")
    return distinct, rows["code"].cast(pl.Int32).to_numpy()
