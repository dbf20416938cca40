"""A prepared set, opened: its histories stay on disk and are mapped into memory as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import ConfigError, DataError
from mltfr.interactions.filters import FilterConfig, FilterReport, FilterStep
from mltfr.interactions.histories import Histories
from mltfr.interactions.prepared import layout
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splitters import SplitConfig
from mltfr.interactions.vocabulary import Vocabulary


class Ids(Sequence[str]):
    """Ids in one column, which takes much less memory than as many Python texts."""

    def __init__(self, column: pl.Series) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        found = self.column[place] if isinstance(place, slice) else self.column[int(place)]
        return Ids(found) if isinstance(found, pl.Series) else str(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self.column)


@dataclass(frozen=True)
class PreparedSet:
    """A log that was filtered and split before, and need not fit into memory.

    Attributes:
        folder: where it is.
        split: the log, divided; histories and examples are mapped from disk.
        filters: the filters that were applied.
        split_config: how it was divided.
        report: what each filter left.
        source: name of the file that it was made from.
        format: that file's format.
        skipped: invalid rows that were dropped.
        checksum: the log's fingerprint, before the filters.
    """

    folder: Path
    split: Split
    filters: FilterConfig
    split_config: SplitConfig
    report: FilterReport
    source: str
    format: str
    skipped: int
    checksum: str

    def __len__(self) -> int:
        return len(self.split.histories.items)

    def fingerprint(self) -> str:
        """Return the fingerprint of the log that it was made from, which a run of that log has too."""
        return self.checksum


def load_prepared(folder: Path) -> PreparedSet:
    """Open a prepared set, after checking every file.

    Raises:
        DataError: the set is not finished, of another format, or a file is missing or damaged.
    """
    manifest = layout.read_manifest(folder)
    try:
        steps = tuple(FilterStep(**step) for step in manifest["filter_steps"])
        return PreparedSet(
            folder=folder,
            split=_split(folder, str(manifest["method"]), dict(manifest["left_out"])),
            filters=FilterConfig.parse(manifest["filters"]),
            split_config=SplitConfig.parse(manifest["split"]),
            report=FilterReport(steps),
            source=str(manifest["source"]),
            format=str(manifest["source_format"]),
            skipped=int(manifest["skipped"]),
            checksum=str(manifest["data_fingerprint"]),
        )
    except (KeyError, TypeError, ValueError, ConfigError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{folder}: damaged, or of another version ({' '.join(str(error).split())[:100]}). "
            f"Make it again: mltfr data prepare FILE --out {folder}"
        ) from error


def _split(folder: Path, method: str, left_out: dict[str, int]) -> Split:
    users = pl.read_parquet(folder / layout.USERS)["user_id"]
    items = pl.read_parquet(folder / layout.VOCABULARY)
    counts = np.concatenate([np.zeros(1, np.int64), items["count"].to_numpy()])
    train_length = np.load(folder / layout.TRAINING_LENGTHS)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(train_length)])
    return Split(
        method=method,
        user_ids=Ids(users),
        vocabulary=Vocabulary(tuple(items["item_id"]), counts),
        histories=Histories(np.load(folder / layout.OFFSETS), _mapped(folder / layout.ITEMS)),
        train_length=train_length,
        validation=Examples(*_mapped(folder / layout.VALIDATION)),
        test=Examples(*_mapped(folder / layout.TEST)),
        left_out=left_out,
        training=Histories(offsets, _mapped(folder / layout.TRAINING_ITEMS)),
    )


def _mapped(path: Path) -> npt.NDArray[Any]:
    """Map an array from disk; as a plain array, whose slices cost nothing."""
    array = np.load(path, mmap_mode="r", allow_pickle=False) if path.stat().st_size > 128 else np.load(path)
    return np.asarray(array)
