"""Two columns without a header, `user item`, one interaction a line in the order of time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import ITEM, USER, RawTable
from mltfr.interactions.readers.sequence import read_words


def read(path: Path, columns: Columns, skip_invalid: bool) -> RawTable:
    """Read `user item` lines; there are no columns to name.

    Raises:
        DataError: a line does not hold exactly two words.
    """
    table = read_words(path)
    words = table.frame["words"]
    expected = "Every line must be `user item`."
    table = table.reject(
        words.list.len() != 2, lambda row: f"the line has {len(words[row])} words", expected, skip_invalid
    )
    frame = table.frame.select(pl.col("words").list.get(0).alias(USER), pl.col("words").list.get(1).alias(ITEM))
    return replace(table, frame=frame)
