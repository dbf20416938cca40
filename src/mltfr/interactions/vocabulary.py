"""The vocabulary: items of the training split and their codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import DataError, did_you_mean
from mltfr.interactions.histories import UNKNOWN
from mltfr.interactions.ids import id_of


@dataclass(frozen=True)
class Vocabulary:
    """Item ids in the order of their codes 1..I; code 0 is padding.

    Attributes:
        item_ids: id of code `c` at `item_ids[c - 1]`.
        counts: int64 `[I + 1]`; training interactions of every code, 0 at padding.
    """

    item_ids: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.item_ids)

    def __repr__(self) -> str:
        first = ", ".join([*self.item_ids[:3], "..."] if len(self) > 3 else self.item_ids)
        return f"Vocabulary({len(self):,} items: {first})"

    @cached_property
    def codes(self) -> dict[str, int]:
        """Code of every item id."""
        return {item: code for code, item in enumerate(self.item_ids, start=1)}

    @cached_property
    def ids(self) -> pl.Series:
        """Item ids as a column `item_id`; that of code `c` is at `c - 1`."""
        return pl.Series("item_id", self.item_ids, dtype=pl.String)

    def with_items(self, item_ids: Sequence[str]) -> Self:
        """Return the vocabulary with further items, which training has not seen, behind its own."""
        return type(self)((*self.item_ids, *item_ids), np.pad(self.counts, (0, len(item_ids))))

    def code_of(self, item: object) -> int:
        """Return the code of one item, given as a text or a whole number.

        Raises:
            DataError: training has not seen the item, or it is no id.
        """
        text = id_of(item, "The item")
        if text is None:
            raise DataError(f"The item is {item!r}, which is no id. Give one item id.")
        if text not in self.codes:
            hint = "" if text.isdecimal() else did_you_mean(text, self.item_ids)
            raise DataError(f"Item '{text}' does not occur in the training data.{hint}")
        return self.codes[text]

    def encode(self, items: Iterable[str]) -> npt.NDArray[np.int32]:
        """Return the codes of item ids, `UNKNOWN` for those that training has not seen."""
        return np.fromiter((self.codes.get(item, UNKNOWN) for item in items), dtype=np.int32)

    def decode(self, codes: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """Return the ids of codes 1..I."""
        return [self.item_ids[code - 1] for code in codes]
