"""What a row is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How the benchmark runs.

    Attributes:
        data: the interaction log; None for the synthetic one.
        repeats: measurements of each figure.
        threads: threads that a row may use.
        seed: seed of everything random.
        wheels: folder that keeps downloaded wheels.
        named: whether the row was asked for by name.
    """

    data: str | None
    repeats: int
    threads: int
    seed: int
    wheels: str
    named: bool = False

    @property
    def wheel_folder(self) -> Path:
        """Folder that keeps downloaded wheels."""
        return Path(self.wheels)


class Skipped(Exception):
    """A row cannot be measured here; the message says why."""
