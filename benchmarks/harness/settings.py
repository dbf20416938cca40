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
        seed: random seed.
        wheels: folder that keeps downloaded wheels.
        named: whether the row was asked for by name.
        point: where on its axis a row that grows is to be measured.
        peer_batches: batches of a peer's epoch that are run, the rest being reckoned; None for all.
        rates: what the machine does a second, from `harness.floor`; None where it was not measured.
    """

    data: str | None
    repeats: int
    threads: int
    seed: int
    wheels: str
    named: bool = False
    point: int = 0
    peer_batches: int | None = None
    rates: dict[str, float] | None = None

    @property
    def wheel_folder(self) -> Path:
        """Folder that keeps downloaded wheels."""
        return Path(self.wheels)


class Skipped(Exception):
    """A row cannot be measured here; the message says why."""
