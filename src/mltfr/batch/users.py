"""The users of a batch job with their histories, read a part at a time."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import DataError
from mltfr.inference.requests import GIVE_HISTORIES
from mltfr.pipeline.data import HISTORIES
from mltfr.pipeline.restore import damage
from mltfr.storage.files import sha256
from mltfr.storage.folder import MANIFEST

SAMPLE_STRETCH = 10
"""Consecutive users that a sample reads."""


class Users(ABC):
    """Users in a fixed order, with their histories on disk; small, so that it can be sent to other processes."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of users."""

    @abstractmethod
    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return the users `start` to `stop - 1`: `user_id`, and `items` (ids) or `codes` (the run's)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a SHA-256 of the users and their histories."""


class RunUsers(Users):
    """All users of a run, each with the whole history of the log.

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

    def require(self) -> None:
        """Refuse a run that was shared without its users.

        Raises:
            DataError: there is no user.
        """
        if not self._count:
            raise DataError(f"{self.path.parent}: this run was shared without its users. {GIVE_HISTORIES}")

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return `user_id` and `codes` of some users; other rows are not decoded."""
        with damage(self.path):
            rows = pl.scan_parquet(self.path).select("user_id", pl.col("items").alias("codes"))
            return rows.slice(start, stop - start).collect()

    def fingerprint(self) -> str:
        """Return the checksum of the histories."""
        return sha256(self.path)


class NamedUsers(Users):
    """Some users of a run, in the caller's order; a user may occur twice.

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
        asked = self.ids[start:stop]
        with damage(self.path):
            rows = pl.scan_parquet(self.path).select("user_id", pl.col("items").alias("codes"))
            found = rows.filter(pl.col("user_id").is_in(asked.unique().implode())).collect()
        return asked.to_frame().join(found, on="user_id", how="left", maintain_order="left")

    def fingerprint(self) -> str:
        """Return a checksum of the histories and the list."""
        return _joined(sha256(self.path), *self.ids)


def sample(users: Users, size: int) -> pl.DataFrame:
    """Return at most `size` users, in evenly spaced stretches of ten, as `Users.read` does."""
    stretches = max(1, size // SAMPLE_STRETCH)
    starts = range(0, len(users), max(SAMPLE_STRETCH, -(-len(users) // stretches)))
    return pl.concat([users.read(start, min(start + SAMPLE_STRETCH, len(users))) for start in starts])


def known_users(run: Path, ids: Sequence[str]) -> set[str]:
    """Return which of some ids are users of a run.

    Raises:
        RunError: the run's histories cannot be read.
    """
    path = run / HISTORIES
    with damage(path):
        asked = pl.Series(ids, dtype=pl.String).unique().implode()
        return set(pl.scan_parquet(path).select("user_id").filter(pl.col("user_id").is_in(asked)).collect()["user_id"])


def run_fingerprint(run: Path) -> str:
    """Return the checksum of a run's manifest, which lists the checksums of its files."""
    return sha256(run / MANIFEST)


def duplicate_hashes(hashes: npt.NDArray[np.int64]) -> set[int]:
    """Return the hashes that occur more than once; without any, all ids are different."""
    ordered = np.sort(hashes)
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())


def first_duplicate(ids: Iterable[str], hashes: set[int]) -> tuple[int, str] | None:
    """Return index and id of the first user that occurred before; None if no user did.

    Args:
        ids: all ids, in order.
        hashes: what `duplicate_hashes` found; only ids with such a hash are compared, so that not all are kept.
    """
    seen: set[str] = set()
    for index, user in enumerate(ids):
        if hash(user) not in hashes:
            continue
        if user in seen:
            return index, user
        seen.add(user)
    return None


def _joined(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
