"""Shortfalls: what of some requests was skipped, or answered otherwise than asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

FIRST = 3
"""Ids that a sentence gives."""
_NAMES = ("unknown_users", "without_known_item", "without_candidates", "stripped")


@dataclass
class Listed:
    """Some users or items: how many, and the first few."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, ids: Sequence[str]) -> Listed:
        """Return all of a list."""
        return cls(len(ids), list(ids[:FIRST]))

    def add(self, other: Listed) -> None:
        """Take others behind these."""
        self.count += other.count
        self.first = [*self.first, *other.first][:FIRST]

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.first) else ""
        return f" ({', '.join(self.first)}{more})" if self.first else ""


@dataclass
class Shortfalls:
    """What of some requests was skipped, or answered otherwise than asked; those of the parts of a job add up.

    Attributes:
        unknown_users: users asked for that the log does not have.
        unknown_items: how often each item id that training lacks occurs in histories.
        kept_items: how often unknown items occur in parts of a job that were finished before it was continued; their
            records hold the number alone.
        without_known_item: users with no item in their history that training has seen.
        without_candidates: users who get no item, since the rules leave none.
        short_lists: users who get some items, but fewer than k.
        stripped: ids with white space around them, which was stripped.
    """

    unknown_users: Listed = field(default_factory=Listed)
    unknown_items: Counter[str] = field(default_factory=Counter)
    kept_items: int = 0
    without_known_item: Listed = field(default_factory=Listed)
    without_candidates: Listed = field(default_factory=Listed)
    short_lists: int = 0
    stripped: Listed = field(default_factory=Listed)

    def add(self, other: Shortfalls) -> None:
        """Take those of further requests into account."""
        for name in _NAMES:
            getattr(self, name).add(getattr(other, name))
        self.unknown_items.update(other.unknown_items)
        self.kept_items += other.kept_items
        self.short_lists += other.short_lists

    def counts(self) -> dict[str, int]:
        """Return the numbers that the record of a part holds."""
        return {
            "unknown_items": self.unknown_items.total() + self.kept_items,
            "without_known_item": self.without_known_item.count,
            "without_candidates": self.without_candidates.count,
            "short_lists": self.short_lists,
            "stripped_ids": self.stripped.count,
        }

    @classmethod
    def of_counts(cls, counts: Mapping[str, int]) -> Shortfalls:
        """Return what is known of a part from its record."""
        return cls(
            kept_items=counts["unknown_items"],
            without_known_item=Listed(counts["without_known_item"]),
            without_candidates=Listed(counts["without_candidates"]),
            short_lists=counts["short_lists"],
            stripped=Listed(counts["stripped_ids"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as what JSON can hold."""
        return {name: vars(value) if isinstance(value, Listed) else value for name, value in vars(self).items()}

    @classmethod
    def of_dict(cls, document: Mapping[str, Any]) -> Shortfalls:
        """Return what `to_dict` was made of."""
        values: dict[str, Any] = {name: Listed(**v) if name in _NAMES else v for name, v in document.items()}
        return cls(**{**values, "unknown_items": Counter(document["unknown_items"])})

    def sentences(self, k: int, unknown_in_filters: Mapping[str, Sequence[str]]) -> list[str]:
        """Return one line for each thing that was skipped or answered otherwise than asked.

        Args:
            k: how many items were asked for.
            unknown_in_filters: unknown item ids of each item filter, by its name.
        """
        found: list[str] = []
        if self.stripped.count:
            example = f", as in {self.stripped.first[0]!r}" if self.stripped.first else ""
            found.append(f"white space was stripped off ids: {self.stripped.count:,}{example}.")
        if self.unknown_users.count:
            found.append(
                f"users who are not in the training log and get no items: {self.unknown_users.count:,}"
                f"{self.unknown_users}. To recommend to them, give their histories."
            )
        if self.unknown_items:
            times = _counted(self.unknown_items.total(), "time", "times")
            found.append(f"{_skipped(len(self.unknown_items))} ({times}; {_first(self.unknown_items)}).")
        if self.kept_items:
            found.append(f"unknown items that were skipped in parts that are kept: {self.kept_items:,}.")
        found += [
            f"{_skipped(len(ids), f' of {name}')} ({_first(ids)})."
            for name, ids in unknown_in_filters.items()
            if ids
        ]
        if self.without_known_item.count:
            told = _counted(
                self.without_known_item.count,
                "history holds no item that training knows; it gets",
                "histories hold no item that training knows; they get",
            )
            found.append(f"{told} the most popular items{_first_user(self.without_known_item)}.")
        if self.without_candidates.count:
            found.append(
                f"users who get no item, since none is a candidate for them: {self.without_candidates.count:,}"
                f"{self.without_candidates}."
            )
        if self.short_lists:
            found.append(f"users who get fewer than {k:,} items, since no more are candidates: {self.short_lists:,}.")
        return found


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _skipped(count: int, of: str = "") -> str:
    rest = "not in the training data and"
    return _counted(count, f"item{of} is {rest} was skipped", f"items{of} are {rest} were skipped")


def _first(ids: Iterable[str]) -> str:
    some = list(islice(ids, FIRST + 1))
    return ", ".join(some[:FIRST]) + (", ..." if len(some) > FIRST else "")


def _first_user(names: Listed) -> str:
    return f" (first: user {names.first[0]})" if names.first else ""
