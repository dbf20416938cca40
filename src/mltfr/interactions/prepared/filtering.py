"""Filters on numbered interactions, as `apply_filters` has them; the records are read once or twice by each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError
from mltfr.interactions.filters import FilterConfig, FilterReport, FilterStep, moment, nothing_left
from mltfr.interactions.prepared.encode import Encoded, Tell
from mltfr.interactions.prepared.rows import Records
from mltfr.interactions.raw import TIME

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def filtered(
    log: Encoded, config: FilterConfig, source: str, work: Path, size: int, tell: Tell
) -> tuple[Encoded, FilterReport]:
    """Return the log without what the config excludes, and what each filter left.

    In memory are counts of users and items, and `size` records.

    Raises:
        DataError: nothing is left, or times are needed and missing.
    """
    counts = _counts(log, size)
    steps = [_step("before", counts)]
    for name in ("since", "until", "consecutive_repeats", "min_user_interactions", "min_item_interactions", "core",
                 "most_recent"):  # fmt: skip
        if getattr(config, name) == FilterConfig.model_fields[name].default:
            continue
        if name in ("since", "until") and TIME not in log.schema:
            raise DataError(f"{source}: '{name}' needs timestamps, and the log has none. Leave it out.")
        keep = _keep(name, config, log, counts, size)
        log = replace(log, rows=log.rows.kept(work / f"after-{name}.rows", size, keep))
        counts = _counts(log, size)
        steps.append(_step(name, counts))
        tell("filtering", steps[-1].interactions, steps[0].interactions)
        if not steps[-1].interactions:
            raise nothing_left(source, name, steps[-2].interactions)
    return log, FilterReport(tuple(steps))


def _keep(
    name: str, config: FilterConfig, log: Encoded, counts: tuple[Counts, Counts], size: int
) -> Callable[[Records], Mask]:
    """Return what says of every record of a chunk whether it stays; chunks come in order."""
    users, items = counts
    if name == "since":
        since = moment(config.since)
        return lambda records: np.asarray(records["time"] >= since)
    if name == "until":
        until = moment(config.until)
        return lambda records: np.asarray(records["time"] < until)
    if name == "min_user_interactions":
        return lambda records: users[records["user"]] >= config.min_user_interactions
    if name == "min_item_interactions":
        return lambda records: items[records["item"]] >= config.min_item_interactions
    if name == "core":
        user_stays, item_stays = _core(log, config.core, counts, size)
        return lambda records: user_stays[records["user"]] & item_stays[records["item"]]
    if name == "most_recent":
        return _MostRecent(users, config.most_recent)
    return _Changes(len(log.users))


class _Changes:
    """Keeps an interaction whose item is not that of the user's one before it."""

    def __init__(self, users: int) -> None:
        self.last = np.full(users, -1, np.int32)

    def __call__(self, records: Records) -> Mask:
        order, starts = _by_user(records)
        user, item = records["user"][order], records["item"][order]
        before = np.concatenate([item[:1], item[:-1]])
        before[starts] = self.last[user[starts]]
        keep = np.empty(len(records), np.bool_)
        keep[order] = item != before
        ends = np.append(starts[1:], len(user)) - 1
        self.last[user[ends]] = item[ends]
        return keep


class _MostRecent:
    """Keeps the last interactions of every user."""

    def __init__(self, counts: Counts, keep: int) -> None:
        self.first = counts - keep
        self.seen = np.zeros(len(counts), np.int64)

    def __call__(self, records: Records) -> Mask:
        order, starts = _by_user(records)
        user = records["user"][order]
        lengths = np.diff(np.append(starts, len(user)))
        place = np.arange(len(user)) - np.repeat(starts, lengths) + self.seen[user]
        keep = np.empty(len(records), np.bool_)
        keep[order] = place >= self.first[user]
        self.seen[user[starts]] += lengths
        return keep


def _by_user(records: Records) -> tuple[Counts, Counts]:
    """Return the stable order by user, and where each user starts in it."""
    order = np.argsort(records["user"], kind="stable")
    user = records["user"][order]
    return order, np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]])) if len(user) else order


def _core(log: Encoded, k: int, counts: tuple[Counts, Counts], size: int) -> tuple[Mask, Mask]:
    """Return the users and items of the k-core."""
    stays: tuple[Any, Any] = (np.ones(len(log.users), np.bool_), np.ones(len(log.items), np.bool_))
    while True:
        now = tuple(mask & (count >= k) for mask, count in zip(stays, counts, strict=True))
        if all(np.array_equal(a, b) for a, b in zip(now, stays, strict=True)):
            return now
        stays = now
        counts = _counts(log, size, lambda r, s=stays: s[0][r["user"]] & s[1][r["item"]])  # type: ignore[misc]


def _counts(log: Encoded, size: int, keep: Callable[[Records], Mask] | None = None) -> tuple[Counts, Counts]:
    """Return how many interactions every user and every item has."""
    users, items = np.zeros(len(log.users), np.int64), np.zeros(len(log.items), np.int64)
    for _, records in log.rows.chunks(size):
        chosen = records if keep is None else records[keep(records)]
        users += np.bincount(chosen["user"], minlength=len(users))
        items += np.bincount(chosen["item"], minlength=len(items))
    return users, items


def _step(name: str, counts: tuple[Counts, Counts]) -> FilterStep:
    users, items = counts
    return FilterStep(name, int(users.sum()), int((users > 0).sum()), int((items > 0).sum()))
