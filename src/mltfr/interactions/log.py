"""The interaction log: who chose what, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from mltfr.interactions.raw import TIME

SLICE = 1 << 20
"""Rows of a piece of the checksum."""


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """Checked interactions in stable order: by time where there is one, else as they stood in the file.

    Attributes:
        frame: `user_id` (String), `item_id` (String) and, where the source has it, `timestamp` (Int64 or
            Float64; seconds where the source had dates).
        source: where it came from, for people ("log.csv").
        format: name of the format it was read from.
        test: the given test part, where the source has one: `user_id`, `item_id`, in order.
        skipped: invalid rows that were dropped on the user's wish.
    """

    frame: pl.DataFrame
    source: str = "in-memory table"
    format: str = "memory"
    test: pl.DataFrame | None = None
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def has_timestamps(self) -> bool:
        """Whether the interactions carry a time."""
        return TIME in self.frame.columns

    def fingerprint(self) -> str:
        """Return the SHA-256 of the content; it does not depend on the format or the file's name."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for part, frame in (("log", self.frame), ("test", self.test)):
            if frame is None:
                continue
            update_digest(digest, part, frame.schema, len(frame), frame.iter_slices(SLICE))
        return digest.hexdigest()


def update_digest(
    digest: hashlib._Hash, part: str, schema: Mapping[str, object], rows: int, pieces: Iterable[pl.DataFrame]
) -> None:
    """Add a table to the checksum of a log.

    Args:
        digest: the SHA-256 so far.
        part: "log", or "test" for a given test part.
        schema: types of the columns, in their order.
        rows: how many rows there are.
        pieces: all of them, `SLICE` at a time.
    """
    digest.update(f"{part}:{','.join(f'{c} {t}' for c, t in schema.items())}:{rows}\n".encode())
    for piece in pieces:
        if TIME in piece.columns:  # as bytes: a float's text depends on the library's version
            digest.update(piece[TIME].to_numpy().tobytes())
        digest.update(piece.drop(TIME, strict=False).write_csv(include_header=False).encode())
