"""Requests: histories as users give them, ids in and codes out, with what of them training has not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mltfr.errors import ConfigError, DataError, one_of
from mltfr.inference.shortfalls import Listed, Shortfalls
from mltfr.interactions import UNKNOWN, Split, Vocabulary
from mltfr.interactions.collate import History, has_known_item
from mltfr.interactions.id_lists import histories_of, id_list
from mltfr.interactions.ids import Strip

UnknownUsers = Literal["skip", "error"]
GIVE_HISTORIES = "Give histories instead (--histories FILE; in Python histories=...)."
"""What to do where a run has no users."""
UNKNOWN_USERS: tuple[UnknownUsers, ...] = ("skip", "error")
"""What may happen where users are asked for whom the log does not have."""


@dataclass(frozen=True)
class Requests:
    """Users that recommendations are made for, with their histories.

    Attributes:
        user_ids: one id per request, in the caller's order.
        histories: item codes, oldest first; `UNKNOWN` where training has not seen the item.
        unknown: how often each unknown item id occurs.
        unknown_users: users asked for that the log does not have.
        stripped: what was stripped off ids.
    """

    user_ids: Sequence[str]
    histories: Sequence[History]
    unknown: Mapping[str, int] = field(default_factory=dict)
    unknown_users: Sequence[str] = ()
    stripped: Listed = field(default_factory=Listed)

    def shortfalls(self, counts: npt.NDArray[np.int64], k: int) -> Shortfalls:
        """Return what of the requests was skipped or answered otherwise than asked.

        Args:
            counts: items that every user gets, `[U]`.
            k: how many were asked for.
        """
        unknown = np.flatnonzero(~has_known_item(self.histories)).tolist()
        return Shortfalls(
            unknown_users=Listed.of(self.unknown_users),
            unknown_items=Counter(self.unknown),
            without_known_item=Listed.of([self.user_ids[row] for row in unknown]),
            without_candidates=Listed.of([self.user_ids[row] for row in np.flatnonzero(counts == 0).tolist()]),
            short_lists=int(((counts > 0) & (counts < k)).sum()),
            stripped=self.stripped,
        )


def requests_of(
    split: Split, users: Any = None, histories: Any = None, unknown_users: UnknownUsers | None = None
) -> Requests:
    """Return requests of users of the log, or of given histories.

    Args:
        split: the log.
        users: ids of users, as for `requests_of_users`.
        histories: raw histories, as for `requests_of_histories`.
        unknown_users: as for `requests_of_users`.

    Raises:
        DataError: users and histories are given; or see these functions.
    """
    if users is not None and histories is not None:
        raise DataError("Give users or histories, not both.")
    if histories is not None:
        return requests_of_histories(split.vocabulary, histories)
    return requests_of_users(split, users, unknown_users)


def requests_of_users(split: Split, users: Any = None, unknown_users: UnknownUsers | None = None) -> Requests:
    """Return requests of known users, each with the whole history of the log.

    Args:
        split: the log.
        users: ids, as `id_list` takes them; None for all users, in the log's order.
        unknown_users: what happens where the log does not have a user; see `require_known`.

    Raises:
        DataError: no user is in the log, or one is not that has to be, or `users` is no list of ids; or the run was
            shared without its users.
    """
    split.require_users(GIVE_HISTORIES)
    if users is None:
        return Requests(split.user_ids, list(split.histories))
    strip = Strip("ids in users")
    rows, ids = split.rows, id_list(users, "users", "user", strip)
    known = [user for user in ids if user in rows]
    missing = list(dict.fromkeys(user for user in ids if user not in rows))
    require_known("users", missing, len(set(ids)), unknown_users)
    histories = [split.histories[rows[user]] for user in known]
    return Requests(known, histories, {}, missing, stripped_by(strip))


def require_known(source: str, missing: Sequence[str], users: int, unknown_users: UnknownUsers | None) -> None:
    """Refuse users whom the log does not have where they are not to be left out.

    Args:
        source: where the users are listed, for the message.
        missing: those whom the log does not have.
        users: how many are asked for, each once.
        unknown_users: "skip" leaves them out; "error" does not; None leaves them out unless they are all.

    Raises:
        ConfigError: `unknown_users` is something else.
        DataError: some are missing that may not.
    """
    if unknown_users not in (None, *UNKNOWN_USERS):
        raise ConfigError(f"Unknown choice '{unknown_users}' for unknown users. "
                          f"{one_of(str(unknown_users), UNKNOWN_USERS)}")  # fmt: skip
    if not missing or unknown_users == "skip" or (unknown_users is None and len(missing) < users):
        return
    skip = "leave unknown users out (--unknown-users skip)"
    raise DataError(
        f"{source}: user '{missing[0]}' is not in the training log ({len(missing):,} of {users:,} are not). "
        f"Give ids as the log writes them, or histories instead (--histories FILE), or {skip}."
    )


def requests_of_histories(vocabulary: Vocabulary, histories: Any) -> Requests:
    """Return requests of raw histories, whether or not training knows the users.

    Args:
        vocabulary: the items that training knows.
        histories: item ids, oldest first, as `histories_of` takes them.

    Raises:
        DataError: they are something else.
    """
    strip, unknown = Strip("ids in histories"), Counter[str]()
    users: list[str] = []
    coded: list[History] = []
    for user, ids in histories_of(histories, strip):
        codes = vocabulary.encode(ids)
        unknown.update(item for item, code in zip(ids, codes, strict=True) if code == UNKNOWN)
        users.append(user)
        coded.append(codes)
    return Requests(users, coded, unknown, stripped=stripped_by(strip))


def stripped_by(*strips: Strip) -> Listed:
    """Return what was stripped off ids."""
    return Listed(sum(strip.count for strip in strips), [strip.example for strip in strips if strip.count][:1])
