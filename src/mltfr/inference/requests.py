"""Histories as users give them: item ids in, codes out, with what was not understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError
from mltfr.interactions import UNKNOWN, Split, Vocabulary
from mltfr.interactions.collate import History


@dataclass(frozen=True)
class Requests:
    """Who asks for recommendations, and on what ground.

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
        """Users of whose history training knows nothing; they get the most popular items."""
        pairs = zip(self.user_ids, self.histories, strict=True)
        return [user for user, history in pairs if not (history > 0).any()]


def requests_of_users(split: Split, users: Iterable[str] | None) -> Requests:
    """Return requests of known users, each with everything the log says about them.

    Args:
        split: the log.
        users: ids; None for everybody, in the log's order.

    Raises:
        DataError: a user is not in the log, or `users` is a single string.
    """
    if isinstance(users, str):
        raise DataError(f"users is the text {users!r}; expected a list of user ids.")
    if users is None:
        return Requests(split.user_ids, list(split.histories), {})
    rows = split.rows
    wanted = [str(user) for user in users]
    missing = [user for user in wanted if user not in rows]
    if missing:
        raise DataError(
            f"User '{missing[0]}' is not in the training log ({len(missing)} of {len(wanted)} are not). "
            "Give their histories instead: --histories FILE, or recommend(histories=...)."
        )
    return Requests(wanted, [split.histories[rows[user]] for user in wanted], {})


def requests_of_histories(
    vocabulary: Vocabulary, histories: Mapping[str, Iterable[str]] | Sequence[Iterable[str]]
) -> Requests:
    """Return requests of raw histories, whether or not training knows the users.

    Args:
        vocabulary: the items that training knows.
        histories: item ids, oldest first, by user id; or a plain list, whose places then serve as ids.

    Raises:
        DataError: a history is a single string instead of a list of item ids.
    """
    pairs = list(histories.items() if isinstance(histories, Mapping) else _numbered(histories))
    unknown: Counter[str] = Counter()
    coded: list[npt.NDArray[np.int32]] = []
    for user, items in pairs:
        if isinstance(items, str):
            raise DataError(f"The history of user '{user}' is the text {items!r}; expected a list of item ids.")
        ids = [str(item) for item in items]
        codes = vocabulary.encode(ids)
        unknown.update(item for item, code in zip(ids, codes, strict=True) if code == UNKNOWN)
        coded.append(codes)
    return Requests([str(user) for user, _ in pairs], coded, unknown)


def _numbered(histories: Sequence[Iterable[str]]) -> Iterable[tuple[str, Iterable[str]]]:
    return ((str(number), items) for number, items in enumerate(histories))
