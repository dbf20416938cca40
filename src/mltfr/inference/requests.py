"""Requests: histories as users give them, ids in and codes out, with what of them training has not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from mltfr.errors import DataError
from mltfr.interactions import UNKNOWN, Split, Vocabulary
from mltfr.interactions.collate import History


@dataclass(frozen=True)
class Requests:
    """Users that recommendations are made for, with their histories.

    Attributes:
        user_ids: one id per request, in the caller's order.
        histories: item codes, oldest first; `UNKNOWN` where training has not seen the item.
        unknown: how often each unknown item id occurs.
    """

    user_ids: Sequence[str]
    histories: Sequence[History]
    unknown: Mapping[str, int]

    @property
    def without_known_item(self) -> list[str]:
        """Users with no item in their history that training has seen; they get the most popular items."""
        pairs = zip(self.user_ids, self.histories, strict=True)
        return [user for user, history in pairs if not (history > 0).any()]


def requests_of_users(split: Split, users: Iterable[str] | None) -> Requests:
    """Return requests of known users, each with the whole history of the log.

    Args:
        split: the log.
        users: ids; None for all users, in the log's order.

    Raises:
        DataError: a user is not in the log, or `users` is a single string.
    """
    if isinstance(users, str):
        raise DataError(f"users is the text {users!r}; expected a list of user ids.")
    if users is None:
        return Requests(split.user_ids, list(split.histories), {})
    rows = split.rows
    ids = [str(user) for user in users]
    missing = [user for user in ids if user not in rows]
    if missing:
        raise DataError(
            f"User '{missing[0]}' is not in the training log ({len(missing)} of {len(ids)} are not). "
            "Give their histories instead: --histories FILE, or recommend(histories=...)."
        )
    return Requests(ids, [split.histories[rows[user]] for user in ids], {})


def requests_of_histories(
    vocabulary: Vocabulary, histories: Mapping[str, Iterable[str]] | Sequence[Iterable[str]]
) -> Requests:
    """Return requests of raw histories, whether or not training knows the users.

    Args:
        vocabulary: the items that training knows.
        histories: item ids, oldest first, by user id; or a plain list, whose indices then serve as ids.

    Raises:
        DataError: a history is a single string instead of a list of item ids.
    """
    by_user = histories if isinstance(histories, Mapping) else {str(n): items for n, items in enumerate(histories)}
    unknown: Counter[str] = Counter()
    coded: list[History] = []
    for user, items in by_user.items():
        if isinstance(items, str):
            raise DataError(f"The history of user '{user}' is the text {items!r}; expected a list of item ids.")
        ids = [str(item) for item in items]
        codes = vocabulary.encode(ids)
        unknown.update(item for item, code in zip(ids, codes, strict=True) if code == UNKNOWN)
        coded.append(codes)
    return Requests([str(user) for user in by_user], coded, unknown)


def skipped_warnings(
    unknown: Mapping[str, int],
    without_known_item: Sequence[str],
    unknown_in_filters: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return one line for each thing that was skipped or answered otherwise than asked.

    Args:
        unknown: how often each unknown item id occurs in histories.
        without_known_item: users with no item in their history that training has seen.
        unknown_in_filters: unknown item ids of each item filter, by its name.
    """
    found: list[str] = []
    if unknown:
        found.append(
            f"{len(unknown)} items are not in the training data and were skipped ({sum(unknown.values())} times; "
            f"{_first_three(unknown)})."
        )
    found += [
        f"{len(ids)} items of {name} are not in the training data and were skipped ({_first_three(ids)})."
        for name, ids in unknown_in_filters.items()
        if ids
    ]
    if without_known_item:
        found.append(
            f"{len(without_known_item)} histories hold no item that training knows; they get the most popular items "
            f"(first: user {without_known_item[0]})."
        )
    return found


def _first_three(ids: Iterable[str]) -> str:
    some = list(islice(ids, 4))
    return ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
