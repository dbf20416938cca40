"""How a bulk job is divided."""

from __future__ import annotations

from dataclasses import dataclass

PART_USERS = 1 << 15
"""Users of a part by default; see docs/decisions/bulk-jobs.md for what was measured."""


@dataclass(frozen=True)
class Part:
    """Consecutive users of a job: `number` from 0, rows `start` to `stop - 1`."""

    number: int
    start: int
    stop: int

    @property
    def file(self) -> str:
        """Name of the part's file in a folder of parts."""
        return f"part-{self.number:05d}.parquet"

    def __len__(self) -> int:
        return self.stop - self.start


def plan_parts(users: int, size: int = PART_USERS) -> list[Part]:
    """Return the parts of a job: `size` users each, the last one fewer.

    Raises:
        ValueError: `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"A part needs at least one user, got {size}.")
    return [Part(number, start, min(start + size, users)) for number, start in enumerate(range(0, users, size))]
