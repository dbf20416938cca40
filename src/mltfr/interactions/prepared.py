"""Prepared sets: logs that were read, checked, filtered and split once, whose histories are mapped from disk.

    items.npy                  int32 [T]: item codes of all histories, one user after the other, oldest first
    offsets.npy                int64 [U + 1]: where every user's begin
    training_items.npy         int32: the training splits alone
    training_lengths.npy       int64 [U]: how long they are
    validation.npy, test.npy   int64 [2, E]: user and cut of every held-out prediction
    users.parquet              user ids in their order
    vocabulary.parquet         item ids in the order of their codes, with their training counts
    manifest.json              settings, counts, and the checksum of every file; written last
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import ConfigError, DataError
from mltfr.interactions.consistency import check_consistent, check_ids
from mltfr.interactions.filter_steps import FilterStep
from mltfr.interactions.filters import FilterConfig, FilterReport
from mltfr.interactions.histories import Histories
from mltfr.interactions.last_time import LastTime
from mltfr.interactions.read_as import ReadAs
from mltfr.interactions.reading import AS_USUAL, ReadingConfig
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splits import SplitConfig
from mltfr.interactions.splits.assemble import make_vocabulary
from mltfr.storage.folder import MANIFEST, FolderFormat, damaged
from mltfr.storage.refusals import has_file

ITEMS, OFFSETS = "items.npy", "offsets.npy"
TRAINING_ITEMS, TRAINING_LENGTHS = "training_items.npy", "training_lengths.npy"
VALIDATION, TEST = "validation.npy", "test.npy"
USERS, VOCABULARY = "users.parquet", "vocabulary.parquet"
FILES = (ITEMS, OFFSETS, TRAINING_ITEMS, TRAINING_LENGTHS, VALIDATION, TEST, USERS, VOCABULARY)
WORK, MARKER = ".work", "written-by-mltfr"
"""Folder of temporary files while a set is made, and the file in it that tells it from somebody else's."""
AGAIN = "Make it again: mltfr data prepare FILE --out {folder}"
PREPARED = FolderFormat("prepared set", 1, FILES, DataError, AGAIN, kind="prepared interactions", sizes=True)


class Ids(Sequence[str]):
    """Ids in one column, which takes much less memory than as many Python strings."""

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

    def __repr__(self) -> str:
        return f"Ids({len(self):,}: {', '.join([*self[:3], '...'] if len(self) > 3 else self)})"


@dataclass(frozen=True)
class PreparedSet:
    """A log that was filtered and split before, and need not fit into memory.

    Attributes:
        folder: where it is.
        split: the split log; histories and examples are mapped from disk.
        filters: the filters that were applied.
        split_config: how it was split.
        report: what each filter left.
        reading: how its file was read.
        source: name of the file that it was made from.
        format: that file's format.
        skipped: invalid rows that were dropped.
        checksum: the log's fingerprint, before the filters.
        notes: what was done to the rows that people should know and that is no error, a sentence each.
        last_time: the log's latest time, where it has times and the set knows it.
        read_as: as that of an `InteractionLog`; None where the set does not know it.
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
    notes: tuple[str, ...] = ()
    last_time: LastTime | None = None
    reading: ReadingConfig = AS_USUAL
    read_as: ReadAs | None = None

    def __len__(self) -> int:
        return len(self.split.histories.items)

    def __repr__(self) -> str:
        return f"PreparedSet({self.folder}, of {self.source}; {self.split})"

    def fingerprint(self) -> str:
        """Return the fingerprint of the log that it was made from, which a run of that log has too."""
        return self.checksum


def is_prepared(path: Path) -> bool:
    """Say whether a path is a prepared set, finished or not."""
    if not path.is_dir():
        return False
    return is_unfinished(path) or (path / OFFSETS).is_file() or PREPARED.names(path)


def is_unfinished(folder: Path) -> bool:
    """Say whether a set was begun in a folder, and what it has written so far may be written again."""
    return (folder / WORK / MARKER).is_file() and not (folder / WORK).is_symlink()


def load_prepared(folder: Path) -> PreparedSet:
    """Open a prepared set, after checking every file.

    Raises:
        DataError: the set is not finished, of another format, or a file is missing or damaged.
    """
    remedy = AGAIN.format(folder=folder)
    if not has_file(folder / MANIFEST, DataError):
        raise DataError(f"{folder}: this prepared set is not finished. {remedy}")
    manifest = PREPARED.read_manifest(folder)
    with damaged(folder, DataError, remedy, (ConfigError, pl.exceptions.PolarsError)):
        steps = tuple(FilterStep(**step) for step in manifest["filter_steps"])
        split = _open_split(folder, str(manifest["method"]), dict(manifest["left_out"]))
        check_consistent(split)
        found = len(split.user_ids), len(split.vocabulary), len(split.histories.items)
        if tuple(manifest[name] for name in ("users", "items", "interactions")) != found:
            raise ValueError("its counts are not those of the files")
        return PreparedSet(
            folder=folder,
            split=split,
            filters=FilterConfig.parse(manifest["filters"]),
            split_config=SplitConfig.parse(manifest["split"]),
            report=FilterReport(steps),
            source=str(manifest["source"]),
            format=str(manifest["source_format"]),
            skipped=int(manifest["skipped"]),
            checksum=str(manifest["data_fingerprint"]),
            notes=tuple(map(str, manifest["notes"])) if "notes" in manifest else (),
            last_time=LastTime.of_facts(manifest),
            reading=ReadingConfig.parse(manifest.get("reading", {})),
            read_as=ReadAs.of_json(manifest.get("read_as")),
        )


def _open_split(folder: Path, method: str, left_out: dict[str, int]) -> Split:
    items = pl.read_parquet(folder / VOCABULARY)
    train_length = _mapped(folder / TRAINING_LENGTHS)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(train_length)])
    user_ids = pl.read_parquet(folder / USERS)["user_id"]
    check_ids(user_ids, "a user")
    return Split(
        method=method,
        user_ids=Ids(user_ids),
        vocabulary=make_vocabulary(items["item_id"], items["count"].to_numpy()),
        histories=Histories(_mapped(folder / OFFSETS), _mapped(folder / ITEMS)),
        train_length=train_length,
        validation=Examples(*_mapped(folder / VALIDATION)),
        test=Examples(*_mapped(folder / TEST)),
        left_out=left_out,
        training=Histories(offsets, _mapped(folder / TRAINING_ITEMS)),
    )


def _mapped(path: Path) -> npt.NDArray[Any]:
    """Map an array from disk; as a plain array, whose slices cost nothing."""
    array = np.load(path, mmap_mode="r" if path.stat().st_size > 128 else None, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("an archive of arrays")
    return np.asarray(array)
