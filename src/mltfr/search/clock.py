"""The time that a search has: what it may take in all, what of it is spent, and when its trainings have to end."""

from __future__ import annotations

import time
from math import ceil

from mltfr.errors import ConfigError
from mltfr.storage.duration import duration

END_SHARE, END_SECONDS = 0.06, 8.0
"""Share of the time, and seconds, that are kept for the end at least: choosing, a blend, test and report."""
SMALLEST_SHARE = 0.65
"""Share of the time that trainings have at least, whatever the end needs."""
TOO_LATE = 0.05
"""Share of the time that has to be left for a training to begin."""
LEAST_SECONDS = END_SECONDS / (1 - SMALLEST_SHARE)
"""Time of the shortest search: with less, what is kept for the end would be part of what trainings have at least."""


def at_the_end(seconds: float) -> float:
    """Return the seconds that are kept for the end of a search of so many seconds, at least."""
    return max(END_SHARE * seconds, END_SECONDS)


def check_time(seconds: float) -> None:
    """Refuse a time that cannot hold both its trainings and its end.

    Raises:
        ConfigError: it is shorter than `LEAST_SECONDS`.
    """
    if seconds < LEAST_SECONDS:
        raise ConfigError(
            f"--time is {duration(seconds)}; a search takes at least {ceil(LEAST_SECONDS)} s, since "
            f"{END_SECONDS:.0f} s are kept for its end and {SMALLEST_SHARE:.0%} for trainings. "
            "Give more, as in --time 5m."
        )


class Clock:
    """Measures a search, over all commands that continue it.

    Args:
        seconds: what it may take in all.
        spent: seconds that earlier commands took.
        began: moment of the monotonic clock at which this one began; now if not given.
    """

    def __init__(self, seconds: float, spent: float = 0.0, began: float | None = None) -> None:
        self.seconds, self.before = seconds, spent
        self.began = time.monotonic() if began is None else began
        self.end_needs = 0.0

    @property
    def spent(self) -> float:
        """Seconds that are gone."""
        return self.before + time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds that are left; below zero once they are over."""
        return self.seconds - self.spent

    @property
    def training_left(self) -> float:
        """Seconds until trainings have to end."""
        needs = max(at_the_end(self.seconds), self.end_needs)
        return max(SMALLEST_SHARE * self.seconds, self.seconds - needs) - self.spent

    @property
    def may_begin(self) -> bool:
        """Whether there is time for a training to begin."""
        return self.training_left > TOO_LATE * self.seconds

    def moment(self, seconds: float) -> float:
        """Return the moment in so many seconds, in seconds since 1970."""
        return time.time() + max(0.0, seconds)
