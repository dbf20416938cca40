"""Who gets recommendations, read a part at a time, and the users of a run."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mltfr.fetch import sha256
from mltfr.runs.data import HISTORIES
from mltfr.runs.folder import MANIFEST, damage

SAMPLE_RUN = 10
"""Users that a sample reads at one place."""


class Users(ABC):
    """Users in an order, with their histories on disk; small, so that it can be sent to other processes."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many there are."""

    @abstractmethod
    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return the users `start` to `stop - 1`: `user_id`, and `items` (ids) or `codes` (the run's)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a SHA-256 that is another one where users or histories are."""


class RunUsers(Users):
    """All users of a run, each with everything that the log said about them.

    Args:
        run: the run folder.

    Raises:
        RunError: the histories cannot be read.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / HISTORIES
        with damage(self.path):
            self._count = int(pl.scan_parquet(self.path).select(pl.len()).collect().item())

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return `user_id` and `codes` of some users; other rows are not decoded."""
        with damage(self.path):
            rows = pl.scan_parquet(self.path).select("user_id", pl.col("items").alias("codes"))
            return rows.slice(start, stop - start).collect()

    def fingerprint(self) -> str:
        """Return the checksum of the histories."""
        return sha256(self.path)


class NamedUsers(Users):
    """Some users of a run, in an order of the caller's; a user may come again.

    Args:
        run: the run folder.
        ids: user ids, all of which the run knows; see `known_users`.
    """

    def __init__(self, run: Path, ids: Sequence[str]) -> None:
        self.path = run / HISTORIES
        self.ids = pl.Series("user_id", ids, dtype=pl.String)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return `user_id` and `codes` of some users; the file is read through, a piece at a time."""
        wanted = self.ids[start:stop]
        with damage(self.path):
            rows = pl.scan_parquet(self.path).select("user_id", pl.col("items").alias("codes"))
            found = rows.filter(pl.col("user_id").is_in(wanted.unique().implode())).collect()
        return wanted.to_frame().join(found, on="user_id", how="left", maintain_order="left")

    def fingerprint(self) -> str:
        """Return a checksum of the histories and the list."""
        return _joined(sha256(self.path), *self.ids)


def sample(users: Users, most: int) -> pl.DataFrame:
    """Return at most `most` users, in runs of up to ten that are evenly spaced, as `Users.read` does."""
    runs = max(1, most // SAMPLE_RUN)
    starts = range(0, len(users), max(SAMPLE_RUN, -(-len(users) // runs)))
    return pl.concat([users.read(start, min(start + SAMPLE_RUN, len(users))) for start in starts])


def known_users(run: Path, ids: Sequence[str]) -> set[str]:
    """Return which of some ids are users of a run.

    Raises:
        RunError: the run's histories cannot be read.
    """
    path = run / HISTORIES
    with damage(path):
        wanted = pl.Series(ids, dtype=pl.String).unique().implode()
        return set(pl.scan_parquet(path).select("user_id").filter(pl.col("user_id").is_in(wanted)).collect()["user_id"])


def run_fingerprint(run: Path) -> str:
    """Return the checksum of a run's manifest, which lists the checksums of its files."""
    return sha256(run / MANIFEST)


def _joined(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
