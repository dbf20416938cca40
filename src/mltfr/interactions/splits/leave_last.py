"""Leave-one-out and leave-last-n: each user's last items are held out."""

from __future__ import annotations

import polars as pl

from mltfr.interactions.log import Condition, OrderedLog
from mltfr.interactions.raw import USER
from mltfr.interactions.splits.lengths import SplitLengths

_ALL = Condition(pl.col(USER).is_not_null(), "true")


def leave_last(log: OrderedLog, n: int) -> SplitLengths:
    """Hold out each user's last `n` items for test and the `n` before them for validation.

    Every held-out item is an example with everything before it as input. A user needs at least one training
    item: with `n + 1` to `2n` interactions there is a test but no validation split, with fewer neither.
    """
    lengths = log.counts_by_user(_ALL)[0]                                # [U]
    in_test, in_validation = lengths > n, lengths > 2 * n
    left_out = {
        "too short for test": int((~in_test).sum()),
        "too short for validation": int((~in_validation).sum()),
    }
    return SplitLengths(lengths - n * in_test - n * in_validation, n * in_validation, n * in_test, left_out)
