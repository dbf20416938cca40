"""Ids as numbers, when they come a batch at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl


class Codes:
    """The ids seen so far, numbered from 0 in order of first appearance.

    An id takes its text and some twenty bytes. A batch is compared with them by one join.
    """

    def __init__(self) -> None:
        self._known = pl.DataFrame(schema={"id": pl.String, "code": pl.Int32})

    def __len__(self) -> int:
        return len(self._known)

    @property
    def ids(self) -> pl.Series:
        """All ids, in the order of their numbers."""
        return self._known["id"]

    def encode(self, ids: pl.Series) -> npt.NDArray[np.int32]:
        """Return the numbers of a batch of ids; new ones get the next numbers."""
        distinct = ids.alias("id").to_frame().unique(maintain_order=True)
        new = distinct.join(self._known, on="id", how="anti", maintain_order="left")
        if len(new):
            first = len(self._known)
            codes = pl.int_range(first, first + len(new), dtype=pl.Int32).alias("code")
            self._known = self._known.vstack(new.with_columns(codes))
        numbered = distinct.join(self._known, on="id", how="inner")
        found = ids.alias("id").to_frame().join(numbered, on="id", how="left", maintain_order="left")
        return found["code"].to_numpy()
