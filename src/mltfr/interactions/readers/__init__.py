"""Readers, one a format; each returns unchecked rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mltfr.interactions.columns import Columns
from mltfr.interactions.raw import RawTable
from mltfr.interactions.readers import delimited, jsonl, pairs, parquet, recbole, sequence

Reader = Callable[[Path, Columns, bool], RawTable]

READERS: Mapping[str, Reader] = {
    "csv": delimited.read,
    "tsv": delimited.read,
    "parquet": parquet.read,
    "jsonl": jsonl.read,
    "recbole": recbole.read,
    "sequence": sequence.read_plain,
    "sequence-colon": sequence.read_colon,
    "pairs": pairs.read,
}
