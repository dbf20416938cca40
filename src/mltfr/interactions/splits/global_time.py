"""Global-time: training before one moment, validation before a second, test from there on."""

from __future__ import annotations

import math
from typing import TypeVar

import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.log import Condition, OrderedLog
from mltfr.interactions.raw import TIME, USER
from mltfr.interactions.splits.lengths import SplitLengths

Log = TypeVar("Log", bound=OrderedLog)


def global_time(log: Log, validation_from: float, test_from: float, as_quantiles: bool) -> tuple[Log, SplitLengths]:
    """Divide a log at two moments, the same for all users.

    Every interaction of the validation and test split is an example with all that its user did before as
    input. Users without a training interaction have no known history: they are left out and counted.

    Args:
        log: interactions with times.
        validation_from: the moment at which validation starts.
        test_from: the moment at which the test starts.
        as_quantiles: whether the moments are shares of the interactions (0.8) instead of times.

    Returns:
        The log without the users that are left out, and the split of the others.

    Raises:
        DataError: the log has no times, or nothing happened before validation.
    """
    if not log.has_timestamps:
        raise DataError(f"{log.source}: a global-time split needs timestamps. Use leave-one-out, or add them.")
    if as_quantiles:
        size = len(log)
        cuts = (min(size - 1, math.ceil(share * size)) for share in (validation_from, test_from))
        validation_from, test_from = (float(log.time_at(cut)) for cut in cuts)
    first, last = log.time_at(0), log.time_at(len(log) - 1)
    if first >= validation_from:
        raise DataError(
            f"{log.source}: nothing happened before {validation_from}, so there is no training part. "
            f"Times go from {first} to {last}; start validation later."
        )
    before = f"time < '{validation_from!r}'::DOUBLE"
    after = f"time >= '{test_from!r}'::DOUBLE"
    known = Condition(
        (pl.col(TIME) < validation_from).any().over(USER),
        f"user IN (SELECT user FROM log WHERE {before})",  # noqa: S608
    )
    everybody, kept = log.totals()[1], log.keep(known)
    late = pl.col(TIME) >= test_from
    train, validation, test = kept.counts_by_user(
        Condition(pl.col(TIME) < validation_from, before),
        Condition((pl.col(TIME) >= validation_from) & ~late, f"NOT {before} AND NOT {after}"),
        Condition(late, after),
    )
    left_out = {
        "without a training interaction": everybody - len(train),
        "without a validation interaction": int((validation == 0).sum()),
        "without a test interaction": int((test == 0).sum()),
    }
    return kept, SplitLengths(train, validation, test, left_out)
