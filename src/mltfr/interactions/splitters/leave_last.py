"""Leave-one-out and leave-last-n: each user's last items are held out."""

from __future__ import annotations

import numpy as np

from mltfr.interactions.log import InteractionLog
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splitters.parts import Ints, assemble, group


def leave_last(log: InteractionLog, n: int, method: str) -> Split:
    """Hold out each user's last `n` items for test and the `n` before them for validation.

    Every held-out item is an example with everything before it as input. A user needs at least one training
    item: with `n + 1` to `2n` interactions there is a test but no validation part, with fewer neither.

    Raises:
        DataError: no user is long enough.
    """
    grouped = group(log.frame)
    train_length, validation, test, left_out = leave_last_parts(grouped.lengths, n)
    return assemble(method, grouped, train_length, validation, test, left_out)


def leave_last_parts(lengths: Ints, n: int) -> tuple[Ints, Examples, Examples, dict[str, int]]:
    """Return the training lengths, validation and test examples, and who is left out, from `lengths` `[U]` alone."""
    in_test = lengths > n
    in_validation = lengths > 2 * n
    train_length = lengths - n * in_test - n * in_validation
    left_out = {
        "too short for test": int((~in_test).sum()),
        "too short for validation": int((~in_validation).sum()),
    }
    validation = _last(np.flatnonzero(in_validation), lengths - n, n)
    test = _last(np.flatnonzero(in_test), lengths, n)
    return train_length, validation, test, left_out


def _last(users: Ints, ends: Ints, n: int) -> Examples:
    """Return the `n` examples before every user's end."""
    cuts = ends[users, None] - np.arange(n, 0, -1)  # [E / n, n]
    return Examples(np.repeat(users, n), cuts.reshape(-1))
