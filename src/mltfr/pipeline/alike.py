"""Whether two runs were fitted to the same training part of the same log, so that one may learn from the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mltfr.config import differences
from mltfr.errors import DataError
from mltfr.interactions import UNKNOWN, Split
from mltfr.pipeline.config import RunConfig

WITH_USERS = "Runs are compared by their users: ask whoever shared it for a run with its users."
"""What to do where a run has none."""


class OfALog(Protocol):
    """What was fitted to a log, or will be."""

    @property
    def config(self) -> RunConfig:
        """Every setting."""

    @property
    def split(self) -> Split:
        """The log, split."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the manifest says of it."""


def require_alike(first_name: str, first: OfALog, name: str, other: OfALog, may: str = "be blended with") -> None:
    """Check that two runs have the same training part of the same log, with the same items.

    Args:
        first_name: what the one is called in the message.
        first: the one.
        name: what the other is called.
        other: the other.
        may: what the other may not where they differ.

    Raises:
        DataError: they have not; the message says what differs. Or one was shared without its users.
    """
    other.split.require_users(WITH_USERS)
    if difference := _difference(first, other):
        raise DataError(
            f"{name} cannot {may} {first_name}: {difference}. Fit both to one log with the same filters and split."
        )


def check_held_out(name: str, data: Split) -> None:
    """Check that no held-out target is part of what a run was fitted to, on which weights would be chosen too well.

    Raises:
        DataError: one is; or the run was shared without its users.
    """
    data.require_users(WITH_USERS)
    for part, examples in (("validation", data.validation), ("test", data.test)):
        trained = (examples.cut < data.train_length[examples.user]) & (data.targets(examples) != UNKNOWN)
        if (inside := np.flatnonzero(trained)).size:
            user = data.user_ids[int(examples.user[inside[0]])]
            raise DataError(
                f"{name}: {inside.size:,} {part} targets are part of the training split (user '{user}'), so its scores "
                "there mean nothing. Fit it again."
            )


def _difference(first: OfALog, other: OfALog) -> str | None:
    """Return what of two runs' data differs, or None."""
    one, two = ({"filters": run.config.filters.model_dump(mode="json")} for run in (first, other))
    if found := differences(one, two):
        return "; ".join(found)
    if first.facts.get("data_fingerprint") != other.facts.get("data_fingerprint"):
        return "it read other data (the logs' fingerprints differ)"
    a, b = first.split, other.split
    if a.method != b.method:
        return f"its split is {b.method}, and not {a.method}"
    if not a.vocabulary.ids.equals(b.vocabulary.ids):
        return f"it knows other items ({len(b.vocabulary):,}, and not {len(a.vocabulary):,})"
    if list(a.user_ids) != list(b.user_ids) or not np.array_equal(a.histories.offsets, b.histories.offsets):
        return f"it has other users or histories ({len(b.user_ids):,} users, and not {len(a.user_ids):,})"
    if not np.array_equal(a.train_length, b.train_length) or not np.array_equal(a.histories.items, b.histories.items):
        return "what one of them was trained on is held out in the other"
    parts = ((a.validation, b.validation), (a.test, b.test))
    if not all(np.array_equal(one.user, two.user) and np.array_equal(one.cut, two.cut) for one, two in parts):
        return "its validation or test examples are others"
    return None
