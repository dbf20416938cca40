"""The interaction log: who chose what, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.interactions.checks import SameTime
from mltfr.interactions.clock import UNKNOWN_CLOCK, Clock, Unit
from mltfr.interactions.picking import Picked
from mltfr.interactions.raw import ITEM, TIME, USER
from mltfr.interactions.read_as import ReadAs
from mltfr.interactions.reading import AS_USUAL, ReadingConfig

SLICE = 1 << 20
"""Rows of a piece of the checksum."""


Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Condition:
    """What is asked of every interaction, for a log in memory and for one in a database.

    Attributes:
        expression: over the columns `user_id`, `item_id` and `timestamp`, rows in order.
        sql: the same, over the columns `user`, `item`, `time` and `place` (in the order) of a table `log`.
    """

    expression: pl.Expr
    sql: str


class OrderedLog(Protocol):
    """What filters and splits ask of a log, wherever its interactions are."""

    def __len__(self) -> int: ...
    @property
    def source(self) -> str:
        """Where it came from, for people."""
    @property
    def has_timestamps(self) -> bool:
        """Whether the interactions carry a time."""
    @property
    def clock(self) -> Clock:
        """What is known of the times from reading them."""
    @property
    def has_test(self) -> bool:
        """Whether there is a given test split."""
    @property
    def picked(self) -> Picked | None:
        """What a condition on the rows left as they were read, None where there was none."""
    @property
    def repeats(self) -> int:
        """Dropped rows that repeated another one with the same time."""
    def keep(self, condition: Condition) -> Self:
        """Return the log without the interactions that do not meet a condition."""
    def totals(self) -> tuple[int, int, int]:
        """Return the numbers of interactions, users and items."""
    def counts_by_user(self, *conditions: Condition) -> Ints:
        """Return how many interactions of every user meet each condition, `[C, U]`; users as they appear first."""
    def times_at(self, places: Sequence[int]) -> list[int | float]:
        """Return the times of the interactions at some places in the order."""
    def span(self) -> tuple[int | float, int | float]:
        """Return the earliest and the latest time."""
    def span_of_moments(self) -> tuple[int | float | None, int | float | None]:
        """Return the earliest and the latest time that is not 0, which may stand for none; None where all are."""
    @property
    def unit(self) -> Unit | None:
        """The unit of the source's times; None where they are a counter."""


@dataclass(frozen=True, eq=False)
class Grouped:
    """Interactions gathered by user, each user's oldest first; users in order of first appearance.

    Attributes:
        user_ids: id of every user.
        users: int32 `[T]`; index in `user_ids` of every ungrouped row.
        offsets: int64 `[U + 1]`; user `u` owns rows `offsets[u]:offsets[u + 1]`.
        order: int64 `[T]`; ungrouped row that stands at every place.
        item_ids: id of every distinct item, in order of first appearance.
        items: int32 `[T]`; index in `item_ids` at every place.
    """

    user_ids: pl.Series
    users: npt.NDArray[np.int32]
    offsets: Ints
    order: Ints
    item_ids: pl.Series
    items: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """Checked interactions in stable order: by time where there is one, else as they stood in the file.

    Attributes:
        frame: `user_id` (String), `item_id` (String) and, where the source has it, `timestamp` (Int64 or
            Float64; since 1970-01-01 UTC where the source had dates, in seconds if these keep their order).
        source: where it came from, for people ("log.csv").
        format: name of the format it was read from.
        test: the given test split, where the source has one: `user_id`, `item_id`, in order.
        same_time: whether interactions that repeat another one with the same time were refused or kept.
        repeats: dropped rows that repeated another one with the same time; they are among `skipped`.
        picked: what a condition on the rows left as they were read, None where there was none.
        reading: how the source was read.
        validation: the given validation split, where the source has one beside the test split.
        skipped: invalid rows that were dropped, with `skip_invalid`.
        notes: what was done to the rows that people should know and that is no error, a sentence each.
        clock: what is known of the times from reading them.
        read_as: which columns of the source were read as what, and how its times were understood; None where the log
            was not read from a source.
    """

    frame: pl.DataFrame
    source: str = "in-memory table"
    format: str = "memory"
    test: pl.DataFrame | None = None
    skipped: int = 0
    notes: tuple[str, ...] = ()
    clock: Clock = UNKNOWN_CLOCK
    validation: pl.DataFrame | None = None
    same_time: SameTime = "refuse"
    repeats: int = 0
    picked: Picked | None = None
    reading: ReadingConfig = AS_USUAL
    read_as: ReadAs | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        interactions, users, items = self.totals()
        given = f"; a given test split of {len(self.test):,}" if self.test is not None else ""
        times = "times" if self.has_timestamps else "no times"
        return (
            f"InteractionLog({self.source}, {self.format}: {interactions:,} interactions, {users:,} users, {items:,} "
            f"items, {times}{given})"
        )

    @property
    def has_timestamps(self) -> bool:
        """Whether the interactions carry a time."""
        return TIME in self.frame.columns

    @property
    def has_test(self) -> bool:
        """Whether there is a given test split."""
        return self.test is not None

    def keep(self, condition: Condition) -> Self:
        """Return the log without the interactions that do not meet a condition."""
        return replace(self, frame=self.frame.filter(condition.expression))

    def totals(self) -> tuple[int, int, int]:
        """Return the numbers of interactions, users and items."""
        return len(self.frame), self.frame[USER].n_unique(), self.frame[ITEM].n_unique()

    def counts_by_user(self, *conditions: Condition) -> Ints:
        """Return how many interactions of every user meet each condition, `[C, U]`; users as they appear first."""
        grouped, size = self.grouped, len(self.grouped.user_ids)
        met = self.frame.select(condition.expression.alias(str(n)) for n, condition in enumerate(conditions))
        return np.array([np.bincount(grouped.users[m.to_numpy()], minlength=size) for m in met], np.int64)

    def times_at(self, places: Sequence[int]) -> list[int | float]:
        """Return the times of the interactions at some places in the order."""
        times = self.frame[TIME]
        return [times[place] for place in places]

    def span(self) -> tuple[int | float, int | float]:
        """Return the earliest and the latest time."""
        first, last = self.frame.select(pl.col(TIME).min(), pl.col(TIME).max().alias("last")).row(0)
        return first, last

    def span_of_moments(self) -> tuple[int | float | None, int | float | None]:
        """Return the earliest and the latest time that is not 0, which may stand for none; None where all are."""
        times = pl.col(TIME).filter(pl.col(TIME) != 0)
        first, last = self.frame.select(times.min(), times.max().alias("last")).row(0)
        return first, last

    @property
    def unit(self) -> Unit | None:
        """The unit of the source's times; None where they are a counter."""
        return self.clock.unit_of(*self.span_of_moments())

    @cached_property
    def grouped(self) -> Grouped:
        """The interactions gathered by user."""
        user_ids, users = _codes(self.frame[USER])
        item_ids, items = _codes(self.frame[ITEM])
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(users, minlength=len(user_ids)))])
        keys = (users.astype(np.int64) << 32) | np.arange(len(users))  # sorting keys is faster than a stable argsort
        keys.sort()
        order = keys & 0xFFFF_FFFF
        return Grouped(user_ids, users, offsets, order, item_ids, items[order])

    def fingerprint(self) -> str:
        """Return the SHA-256 of the content; it does not depend on the format or the file's name."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for part, frame in (("log", self.frame), ("validation", self.validation), ("test", self.test)):
            if frame is None:
                continue
            update_digest(digest, part, frame.schema, len(frame), frame.iter_slices(SLICE))
        return digest.hexdigest()


def update_digest(
    digest: hashlib._Hash, part: str, schema: Mapping[str, object], rows: int, pieces: Iterable[pl.DataFrame]
) -> None:
    """Add a table to the checksum of a log.

    Args:
        digest: the SHA-256 so far.
        part: "log", or "validation" or "test" for given ones.
        schema: types of the columns, in their order.
        rows: how many rows there are.
        pieces: all of them, `SLICE` at a time.
    """
    digest.update(f"{part}:{','.join(f'{c} {t}' for c, t in schema.items())}:{rows}\n".encode())
    for piece in pieces:
        if TIME in piece.columns:  # as bytes: a float's text depends on the library's version
            digest.update(piece[TIME].to_numpy().tobytes())
        digest.update(piece.drop(TIME, strict=False).write_csv(include_header=False).encode())


def _codes(ids: pl.Series) -> tuple[pl.Series, npt.NDArray[np.int32]]:
    """Return the distinct ids in order of first appearance, and every row's index among them."""
    distinct = ids.unique(maintain_order=True)
    return distinct, places_among(distinct, ids).cast(pl.Int32).to_numpy()


def places_among(known: pl.Series, ids: pl.Series) -> pl.Series:
    """Return the place of every id among known ones, which are distinct; null where it is not among them."""
    places = known.alias("id").to_frame().with_row_index("place")
    return ids.alias("id").to_frame().join(places, on="id", how="left", maintain_order="left")["place"]
