"""Histories out of a table of events: one interaction a row, in any form that a log may have."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mltfr.batch.users import Users
from mltfr.errors import DataError
from mltfr.interactions import InteractionLog, load_interactions


class EventUsers(Users):
    """Users of a table of events, none of whom needs to be known, in the order of their first interactions.

    The table is read whole, and what holds the histories stays in memory; another process reads it again.

    Args:
        path: a file, or a folder of Parquet parts.
        reading: arguments of `load_interactions`: format and columns.

    Raises:
        DataError: it is no usable log, or one with a given split.
    """

    def __init__(self, path: Path, reading: Mapping[str, Any]) -> None:
        self.path, self.reading = path, dict(reading)
        log = load_interactions(path, same_time="keep", **self.reading)
        if not isinstance(log, InteractionLog) or log.has_test:
            what = "a log with a given split" if isinstance(log, InteractionLog) else "a prepared set"
            raise DataError(f"{path}: is {what}. Give histories as one table of events, or one row a user.")
        self._grouped = log.grouped

    def __reduce__(self) -> tuple[type[EventUsers], tuple[Path, dict[str, Any]]]:
        return EventUsers, (self.path, self.reading)

    def __len__(self) -> int:
        return len(self._grouped.user_ids)

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Return `user_id` and `items` of some users."""
        offsets = self._grouped.offsets[start : stop + 1]                # [U + 1]
        items = self._grouped.item_ids.gather(self._grouped.items[offsets[0] : offsets[-1]])  # [T]
        users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))  # [T]
        lists = pl.DataFrame({"user": users, "items": items}).group_by("user", maintain_order=True).agg("items")
        return pl.DataFrame([self._grouped.user_ids[start:stop].alias("user_id"), lists["items"]])

    def fingerprint(self) -> str:
        """Return a checksum of the histories."""
        grouped = self._grouped
        digest = hashlib.sha256()
        for ids, numbers in ((grouped.user_ids, grouped.offsets), (grouped.item_ids, grouped.items)):
            digest.update("\n".join(ids).encode())
            digest.update(np.ascontiguousarray(numbers).tobytes())
        return digest.hexdigest()
