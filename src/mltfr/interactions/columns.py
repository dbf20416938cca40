"""Names of the user, item and timestamp columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mltfr.errors import DataError, did_you_mean, word
from mltfr.interactions.raw import ITEM, TIME, USER
from mltfr.interactions.read_as import ColumnsTaken
from mltfr.interactions.where import CORRECT, Where

USER_NAMES = (
    "user_id",
    "user",
    "uid",
    "reviewer_id",
    "customer_id",
    "customer",
    "visitor_id",
    "session_id",
    "session",
    "account_id",
    "member_id",
)
ITEM_NAMES = (
    "item_id",
    "item",
    "iid",
    "movie_id",
    "movie",
    "product_id",
    "product",
    "parent_asin",
    "asin",
    "sku",
    "article_id",
    "book_id",
    "business_id",
    "song_id",
    "track_id",
    "video_id",
    "news_id",
)
TIME_NAMES = (
    "timestamp",
    "time",
    "ts",
    "unix_review_time",
    "unix_timestamp",
    "unix_time",
    "event_time",
    "datetime",
    "date",
    "created_at",
    "t_dat",
)
"""The usual names of the three columns, the likeliest first; case and underscores do not matter."""
SAME = {"uid": "user", "iid": "item", "parentasin": "asin"}
"""Usual names of what another usual name says as well; so does a name with `_id` behind it: movie and movie_id."""
EXAMPLES, ROWS = 3, 100
"""Values of a column that a question shows, and values that they are taken from."""
Values = Callable[[str], Iterable[Any]]
"""Returns the values of a column in order, by its name; of those that are there at least the first `ROWS`."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that were asked for; None where the usual names are looked up."""

    user: str | None = None
    item: str | None = None
    """Several columns have commas between them, and are joined into one id."""
    timestamp: str | None = None
    names: tuple[str, ...] = ()
    """Names of all columns of a table of text without a header; none where the header names them."""
    where: Where | None = None
    """A condition on the rows, which reads further columns."""

    def resolve(self, names: Sequence[str], source: str, values: Values) -> dict[str, str]:
        """Return the columns that are read, by what readers call them.

        These are `user_id`, `item_id` and, where there is one, `timestamp`; further parts of an item's id, as `part`
        says; and what a condition compares, as `further` says, which may be one of the others once more.

        Args:
            names: the columns that exist.
            source: what they belong to, for the message.
            values: the first values of a column, for the message.

        Raises:
            DataError: a column is missing or there twice, or two roles share one column; or several columns may be
                that of the users, or of the items.
        """
        user, item, *parts = self._ids(names, source, values)
        timestamp = self.timestamp or usual_column(names, TIME_NAMES)
        for role, asked in (("user", (user,)), ("item", (item, *parts)), ("timestamp", (timestamp,))):
            for name in asked:
                if name is not None and name not in names:
                    raise DataError(
                        f"{source}: no column '{name}'. The file has {_listed(names)}. Correct --{role}-column."
                    )
        if user is None or item is None:
            role, usual = ("user", USER_NAMES) if user is None else ("item", ITEM_NAMES)
            raise DataError(
                f"{source}: no {role} column among {_listed(names)}. Expected {usual[0]} or a usual synonym "
                f"({', '.join(usual[1:5])}, ...). Name the column with --{role}-column "
                f"(in Python {role}_column=){_example(len(names))}."
            )
        found = {USER: user, ITEM: item, TIME: timestamp}
        read = [name for name in (user, item, *parts, timestamp) if name is not None]
        if len(set(read)) < len(read):
            remedy = "Name them with --user-column, --item-column and --timestamp-column."
            if self.timestamp is None and timestamp in read[:-1]:
                remedy = (
                    f"'{timestamp}' is taken for the timestamp by its name. Name another column with "
                    "--timestamp-column, or rename this one."
                )
            raise DataError(
                f"{source}: user, item and timestamp must be different columns, got {', '.join(read)}. {remedy}"
            )
        found |= {part(number): name for number, name in enumerate(parts, start=2)}
        for name in self.where.columns if self.where is not None else ():
            if name not in names:
                close = did_you_mean(name, names)
                raise DataError(f"{source}: no column '{name}'. The file has {_listed(names)}.{close} {CORRECT}")
            found[further(name)] = name
        roles = {role: name for role, name in found.items() if name is not None}
        require_once(roles.values(), names, source)
        return roles

    def _ids(self, names: Sequence[str], source: str, values: Values) -> list[str | None]:
        """Return the columns of the users and the items, and further parts of the latter; None where none is found.

        Raises:
            DataError: several columns may be one of them; see `resolve`.
        """
        item, *parts = self.item_parts(names)
        given = {self.user, self.timestamp, item, *parts}
        found: list[str | None] = []
        questions = []
        for role, name, usual in (("user", self.user, USER_NAMES), ("item", item, ITEM_NAMES)):
            left = candidates([name for name in names if name not in given], usual) or candidates(names, usual)
            if name is None and len(left) > 1:
                questions.append(_question(role, left, values))
            found.append(name if name is not None else next(iter(left), None))
        if questions:
            raise DataError(f"{source}: {' '.join(questions)}")
        return [*found, *parts]

    def item_parts(self, names: Sequence[str]) -> tuple[str | None, ...]:
        """Return the columns that were asked for as the item's id, of which several are joined into one.

        Args:
            names: the columns that exist; one whose name has commas is one column.
        """
        if self.item is None or self.item in names:
            return (self.item,)
        return tuple(name.strip() for name in self.item.split(","))

    def are_usual(self, names: Sequence[str]) -> bool:
        """Say whether `names` looks like a header: it has a user's and an item's column."""
        roles = (((self.user,), USER_NAMES), (self.item_parts(names), ITEM_NAMES))
        return all(set(given) <= set(names) if any(given) else usual_column(names, usual) for given, usual in roles)


def taken(roles: Mapping[str, str], names: Sequence[str]) -> tuple[ColumnsTaken]:
    """Return the columns of one table by what they are read as.

    Args:
        roles: what `Columns.resolve` returned.
        names: the columns that exist.
    """
    item = tuple(name for role, name in roles.items() if is_id(role) and role != USER)
    main = {roles[USER], *item, roles.get(TIME)}
    condition = tuple(name for name in dict.fromkeys(roles.values()) if name not in main)
    others = tuple(name for name in names if name not in {*main, *condition})
    return (ColumnsTaken(roles[USER], item, roles.get(TIME), condition, others),)


def part(number: int) -> str:
    """Return what readers call the column of a further part of an item's id; `item_id` is the first."""
    return f"{ITEM}, part {number}"


def further(name: str) -> str:
    """Return what readers call a column that a condition compares."""
    return f"further {name}"


def is_id(role: str) -> bool:
    """Say whether a column that readers call so holds ids, or parts of these."""
    return role in (USER, ITEM) or role.startswith(f"{ITEM}, ")


def require_once(read: Iterable[str], names: Sequence[str], source: str) -> None:
    """Raise if a column that is read is there twice.

    Args:
        read: names of the columns that are read.
        names: the columns that exist.
        source: what they belong to, for the message.

    Raises:
        DataError: one of them is there twice.
    """
    twice = next((name for name in read if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: {names.count(twice)} columns are called '{twice}'. Rename all but one of them.")


def canonical(name: str) -> str:
    """Return a name without case, spaces and underscores: userId, USER_ID and user-id are one."""
    return re.sub(r"[\s_\-.]", "", name).lower()


def usual_column(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """Return the column that has the likeliest of some usual names, None where none has one."""
    by_name = {canonical(name): name for name in reversed(names)}
    return next((by_name[name] for name in map(canonical, usual) if name in by_name), None)


def candidates(names: Sequence[str], usual: Sequence[str]) -> list[str]:
    """Return the columns that some usual names leave to choose from, one for each thing that they may be.

    The first of the usual names is the role's own, and leaves nothing to choose. Others may say the same: of `movie`
    and `movie_id` the one with the likelier name is taken.

    Args:
        names: the columns that exist.
        usual: the usual names, the likeliest first.
    """
    ranks = {name: rank for rank, name in reversed(list(enumerate(map(canonical, usual))))}
    found = [name for name in dict.fromkeys(names) if canonical(name) in ranks]
    own = [name for name in found if ranks[canonical(name)] == 0]
    if own:
        return own if usual[0] not in own else [usual[0]]
    found.sort(key=lambda name: ranks[canonical(name)])
    likeliest: dict[str, str] = {}
    for name in map(canonical, found):
        likeliest.setdefault(SAME.get(name, name).removesuffix("id"), name)
    return [name for name in found if canonical(name) in likeliest.values()]


def _question(role: str, found: Sequence[str], values: Values) -> str:
    """Return what is asked where several columns may be that of the users, or of the items."""
    listed = [f"'{name}' ({', '.join(_first(values(name))) or 'no values'})" for name in found]
    options = " or ".join(f"--{role}-column {word(name)}" for name in found)
    return (
        f"{', '.join(listed[:-1])} and {listed[-1]} may each be the column of the {role}s. Say which one is: {options} "
        f"(in Python {role}_column=)."
    )


def _first(values: Iterable[Any]) -> list[str]:
    """Return the first different values of a column as a message shows them."""
    texts = (" ".join(str(value).split()) for value in values if value is not None)
    known = dict.fromkeys(islice(filter(None, texts), ROWS))
    return [text[:20] + "..." * (len(text) > 20) for text in known][:EXAMPLES]


def _example(count: int) -> str:
    """Return how so many columns without a header are named."""
    if count < 2:
        return ""
    likely = ["user_id", "item_id", *(["timestamp"] if count == 3 else ["rating", "timestamp"])]
    names = [*likely, *(f"column{place}" for place in range(5, min(count, 8) + 1))][:count]
    more = ",..." if count > 8 else ""
    return f"; if there is no header, name all columns with --columns, as in --columns {','.join(names)}{more}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:8])
    return f"{shown}, ... ({len(names)} columns)" if len(names) > 8 else shown or "no columns"
