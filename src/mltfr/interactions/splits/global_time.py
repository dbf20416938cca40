"""Global-time: training before one moment, validation before a second, test from there on."""

from __future__ import annotations

import math
from typing import TypeVar

from mltfr.errors import DataError
from mltfr.interactions.borders import Border, before, not_before, shown_span, threshold
from mltfr.interactions.log import Condition, OrderedLog
from mltfr.interactions.raw import USER
from mltfr.interactions.splits.lengths import SplitLengths

Log = TypeVar("Log", bound=OrderedLog)


def is_share(border: Border) -> bool:
    """Say whether a border is a share of the interactions instead of a time."""
    return not isinstance(border, str) and 0 < border < 1


def global_time(log: Log, validation_from: Border, test_from: Border, as_quantiles: bool) -> tuple[Log, SplitLengths]:
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
        DataError: the log has no times, they are a counter and a border a date, the test starts with validation or
            before it, or nothing happened before validation.
    """
    if not log.has_timestamps:
        raise DataError(f"{log.source}: a global-time split needs timestamps. Use leave-one-out, or add them.")
    if as_quantiles:
        size = len(log)
        shares = (float(validation_from), float(test_from))
        validation, test = log.times_at([min(size - 1, math.ceil(share * size)) for share in shares])
    else:
        validation = threshold(validation_from, log, "split.validation_from")
        test = threshold(test_from, log, "split.test_from")
        if validation >= test:
            raise DataError(
                f"{log.source}: validation_from ({validation_from}) must lie before test_from ({test_from}), but in "
                f"the times of this log, {shown_span(log)}, they are {validation} and {test}."
            )
    if log.span()[0] >= validation:
        raise DataError(
            f"{log.source}: nothing happened before {validation_from}, so there is no training part. "
            f"Times go from {shown_span(log)}; start validation later."
        )
    in_training, late = before(validation), not_before(test)
    known = Condition(
        in_training.expression.any().over(USER),
        f"user IN (SELECT user FROM log WHERE {in_training.sql})",  # noqa: S608
    )
    everybody, kept = log.totals()[1], log.keep(known)
    between = Condition(
        not_before(validation).expression & before(test).expression,
        f"{not_before(validation).sql} AND {before(test).sql}",
    )
    train, validation_length, test_length = kept.counts_by_user(in_training, between, late)
    left_out = {
        "without a training interaction": everybody - len(train),
        "without a validation interaction": int((validation_length == 0).sum()),
        "without a test interaction": int((test_length == 0).sum()),
    }
    return kept, SplitLengths(train, validation_length, test_length, left_out)
