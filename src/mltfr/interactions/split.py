"""A split log; see `splits/` for how one is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError
from mltfr.interactions.clock import with_dates
from mltfr.interactions.histories import UNKNOWN, Histories
from mltfr.interactions.vocabulary import Vocabulary


@dataclass(frozen=True)
class Examples:
    """Held-out predictions: given the first `cut` interactions of a user, predict the next.

    Attributes:
        user: int64 `[E]`, row in `Split.histories`.
        cut: int64 `[E]`; the input is `histories[user][:cut]`, the target `histories[user][cut]`.
    """

    user: npt.NDArray[np.int64]
    cut: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Examples({len(self):,} of {len(np.unique(self.user)):,} users)"


@dataclass(frozen=True)
class OtherItems:
    """What stands behind every `UNKNOWN` of some histories: the items of a log that training has not seen.

    Attributes:
        item_ids: their ids.
        items: int32 `[P]`; which of them, from 0, is at every `UNKNOWN`, in the order of the histories; -1 for another.
    """

    item_ids: Sequence[str]
    items: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Split:
    """An interaction log, split into training, validation and test.

    Attributes:
        method: how it was made ("leave-one-out"), with its parameters; part of the protocol.
        user_ids: the id of every row of `histories`.
        vocabulary: the items of the training split, and no others.
        histories: everything each user did, oldest first, coded by `vocabulary`.
        train_length: int64 `[U]`; the first `train_length[u]` interactions are the training split, but for those with
            items that are held out of training altogether, which are `UNKNOWN`.
        validation: examples to choose everything on.
        test: examples to score once.
        left_out: why and how many users are missing from a split ("too short for test": 3).
        training: the training histories alone, where they are stored; else they are made on demand.
        others: the items of the log that training has not seen; None where nothing is known of them.
        target_items: int32 `[T]`; what a target is, where that has a code and is `UNKNOWN` in the histories. None:
            what is there.
    """

    method: str
    user_ids: Sequence[str]
    vocabulary: Vocabulary
    histories: Histories
    train_length: npt.NDArray[np.int64]
    validation: Examples
    test: Examples
    left_out: Mapping[str, int] = field(default_factory=dict)
    training: Histories | None = None
    others: OtherItems | None = None
    target_items: npt.NDArray[np.int32] | None = None

    def __repr__(self) -> str:
        return f"Split({self})"

    def __str__(self) -> str:
        """Say in one line how large everything is."""
        left_out = "".join(f"; {count:,} {why}" for why, count in self.left_out.items())
        return (
            f"{with_dates(self.method)}: {self.users}, {len(self.vocabulary):,} items, "
            f"{len(self.histories.items):,} interactions, {self.training_interactions:,} of them training; examples: "
            f"{len(self.validation):,} validation, {len(self.test):,} test{left_out}"
        )

    @property
    def users(self) -> str:
        """How many users there are, in words: "29 users", or "users left out" where it was shared without them."""
        return f"{len(self.user_ids):,} users" if len(self.user_ids) else "users left out"

    def require_users(self, remedy: str) -> None:
        """Refuse what needs the users of a log where a run was shared without them.

        Args:
            remedy: what to do instead.

        Raises:
            DataError: there is no user.
        """
        if not len(self.user_ids):
            raise DataError(f"This run was shared without its users and their histories. {remedy}")

    def without_users(self) -> Self:
        """Return the split with its items, and none of its users."""
        none = Examples(np.zeros(0, np.int64), np.zeros(0, np.int64))
        nothing = Histories(np.zeros(1, np.int64), np.zeros(0, np.int32))
        return replace(
            self, user_ids=(), histories=nothing, train_length=np.zeros(0, np.int64), validation=none, test=none,
            training=None, others=None, target_items=None,
        )  # fmt: skip

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row in `histories` of every user id."""
        return {user: row for row, user in enumerate(self.user_ids)}

    def targets(self, examples: Examples) -> npt.NDArray[np.int32]:
        """Return the target code of every example, int32 `[E]`; `UNKNOWN` where training lacks it."""
        items = self.histories.items if self.target_items is None else self.target_items
        return items[self.histories.offsets[examples.user] + examples.cut]

    @property
    def training_interactions(self) -> int:
        """Number of interactions of the training split."""
        return int(self.vocabulary.counts.sum())

    def with_items(self, item_ids: Sequence[str], in_histories: bool = True) -> Self:
        """Return the split with codes for some items that training has not seen, behind its own.

        Args:
            item_ids: their ids.
            in_histories: whether they have them in histories too, and not only as targets.
        """
        vocabulary, items = self.vocabulary.with_items(item_ids), self.histories.items.copy()
        if self.others is not None:
            codes = np.append(vocabulary.encode(self.others.item_ids), np.int32(UNKNOWN))
            items[items == UNKNOWN] = codes[self.others.items]
        if not in_histories:
            return replace(self, vocabulary=vocabulary, target_items=items, others=None)
        return replace(self, vocabulary=vocabulary, histories=Histories(self.histories.offsets, items), others=None)

    def everything(self) -> Self:
        """Return the split whose training part is all there is, and nothing held out.

        It has codes for all items that are known of, see `others`; what else is `UNKNOWN` stays so, uncounted.
        """
        data = self.with_items(self.others.item_ids) if self.others is not None else self
        items = data.histories.items
        counts = np.bincount(items[items > 0], minlength=len(data.vocabulary) + 1)
        none = Examples(np.zeros(0, np.int64), np.zeros(0, np.int64))
        return replace(
            data, vocabulary=Vocabulary(data.vocabulary.item_ids, counts), train_length=data.histories.lengths,
            validation=none, test=none, left_out={}, training=None, target_items=None,
        )  # fmt: skip

    def train_histories(self) -> Histories:
        """Return the training histories alone, without held-out items."""
        if self.training is not None:
            return self.training
        training = self.histories.prefixes(self.train_length)
        return training.known() if len(training.items) > self.training_interactions else training
