"""Lists of ids, and histories, as people hand them over: lists, columns, arrays, generators, mappings and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.checks import Checking, check
from mltfr.interactions.columns import ITEM_NAMES, USER_NAMES, Columns, canonical, usual_column
from mltfr.interactions.ids import Strip, id_of, id_texts
from mltfr.interactions.load import say
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.raw import USER
from mltfr.interactions.readers.frame import Column, as_column, is_table, one_line, open_table, read

HISTORY = "items"
"""Name of a table's column of lists."""


def id_list(values: Any, what: str, of: str, strip: Strip, *, ordered: bool = False) -> list[str]:
    """Return ids as texts, in their order: by place, never by a label.

    Args:
        values: a list, column, array or iterator of texts or whole numbers.
        what: what they are, for messages ("deny").
        of: what each of them is ("item").
        strip: strips white space, and counts.
        ordered: whether a collection without an order is refused.

    Raises:
        DataError: it is no list of ids, or one is missing or of another type.
    """
    column = values if type(values) is list else _column(values, what, of, ordered)  # a list is one as it stands
    with one_line(what):
        if isinstance(column, pl.Series):
            texts = id_texts(column, what).to_list()
        elif set(map(type, column)) <= {str} and all(map(str.isascii, column)):
            texts = column
        else:
            texts = [id_of(value, f"{what}: place {place}", strip) for place, value in enumerate(column)]
    found = [strip.text(text or "") for text in texts]
    if "" in found:
        place = found.index("")
        expected = f"expected a list of {of} ids"
        raise DataError(f"{what}: place {place} (the first is 0) holds no id but {_shown(column[place])}; {expected}.")
    return found


def _column(values: Any, what: str, of: str, ordered: bool) -> Column:
    """Return what holds ids, in their order.

    Raises:
        DataError: it is no list of ids.
    """
    expected = f"expected a list of {of} ids"
    if isinstance(values, str | bytes):
        raise DataError(f"{what} is the text {values!r}; {expected}.")
    if is_table(values) or isinstance(values, Mapping):
        raise DataError(f"{what} is a {type(values).__name__}; {expected}, such as one column of a table.")
    if ordered and isinstance(values, Set):
        raise DataError(f"{what} is a {type(values).__name__}, which has no order; {expected}, oldest first.")
    if not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise DataError(f"{what} is {_shown(values)}; {expected}.")
    with one_line(what):
        return as_column(list(values) if isinstance(values, Set) else values)


def histories_of(given: Any, strip: Strip) -> Iterator[tuple[str, list[str]]]:
    """Yield users with their histories, oldest item first.

    Args:
        given: by user id; or a plain list, whose places then serve as ids; or a table: one row a user with a column
            `items` of lists, or an interaction log. A pandas Series is by user id unless its index only counts rows.
        strip: strips white space, and counts.

    Raises:
        DataError: it is something else, a history has no order, or a user comes twice.
    """
    if isinstance(given, InteractionLog):
        yield from _of_log(given)
        return
    if is_table(given) or (isinstance(given, Mapping) and _are_columns(list(given))):
        yield from _of_table(given, strip)
        return
    if isinstance(given, str | bytes | Set) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise DataError(f"histories is {_shown(given)}; expected lists of item ids, by user id or as a plain list.")
    if (users := _index_of_users(given)) is not None:
        given = zip(users, given, strict=True)
    elif isinstance(given, Mapping):
        given = given.items()
    else:
        with one_line("histories"):
            given = ((str(place), items) for place, items in enumerate(as_column(given)))
    yield from _rows(given, strip)


def _are_columns(keys: list[Any]) -> bool:
    """Say whether the keys of a mapping are names of columns, and not users: one names users, and one items."""
    names = [key for key in keys if isinstance(key, str)]
    return usual_column(names, USER_NAMES) is not None and usual_column(names, (HISTORY, *ITEM_NAMES)) is not None


def _index_of_users(given: Any) -> list[Any] | None:
    """Return the index of a pandas Series if it holds users: it is called so, or does more than count rows."""
    index = getattr(given, "index", None)
    if index is None or callable(index):  # of a list, it is a method
        return None
    labels = list(index)
    usual = canonical(str(getattr(index, "name", ""))) in map(canonical, USER_NAMES)
    counted = labels == list(range(len(labels)))
    repeats = len(set(labels)) < len(labels) and str not in map(type, labels)  # numbers of rows, put together
    return labels if usual or not (counted or repeats) else None


def _rows(rows: Iterable[tuple[Any, Any]], strip: Strip) -> Iterator[tuple[str, list[str]]]:
    seen: set[str] = set()
    for given, items in rows:
        user = id_of(given, "A user of histories", strip)
        if user is None:
            raise DataError(f"A user of histories is {_shown(given)}, which is no id.")
        if user in seen:
            raise DataError(f"histories: user '{user}' comes a second time. Give every user one history.")
        seen.add(user)
        yield user, id_list(items, f"The history of user '{user}'", "item", strip, ordered=True)


def _of_table(table: Any, strip: Strip) -> Iterator[tuple[str, list[str]]]:
    names, column_of = open_table(table, "histories")
    if HISTORY not in names:
        rows = read(table, Columns(), False, "histories")
        log = check(rows, Checking(same_time="keep"))
        say("histories", log.notes)
        by_user = dict(_of_log(InteractionLog(log.frame)))
        yield from ((user, by_user[user]) for user in rows.frame[USER].str.strip_chars().unique(maintain_order=True))
        return
    user = usual_column(names, USER_NAMES)
    if user is None:
        raise DataError(f"histories: no user column among {', '.join(names)[:80]}. Expected user_id and {HISTORY}.")
    users = column_of(user)
    users = id_texts(users, f"histories: column '{user}'") if isinstance(users, pl.Series) else users
    yield from _rows(zip(users, column_of(HISTORY), strict=True), strip)


def _of_log(log: InteractionLog) -> Iterator[tuple[str, list[str]]]:
    """Yield the users of a log, as they appear first."""
    grouped = log.grouped
    for user, items in zip(grouped.user_ids, np.split(grouped.items, grouped.offsets[1:-1]), strict=True):
        yield user, grouped.item_ids.gather(items).to_list()


def _shown(value: object) -> str:
    return f"a {type(value).__name__} ({repr(value)[:40]})"
