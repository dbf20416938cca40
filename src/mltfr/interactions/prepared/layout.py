"""The folder of a prepared set.

    items.npy              int32 [T]: item codes of all histories, one user after the other, oldest first
    offsets.npy            int64 [U + 1]: where every user's begin
    training_items.npy     int32: the training parts alone
    training_lengths.npy   int64 [U]: how long they are
    validation.npy, test.npy   int64 [2, E]: user and cut of every held-out prediction
    users.parquet          user ids in their order
    vocabulary.parquet     item ids in the order of their codes, with their training counts
    manifest.json          settings, counts, and the checksum of every file; written last
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import DataError
from mltfr.storage.files import atomic_file, flush, sha256
from mltfr.version import __version__

FORMAT = 1
KIND = "prepared interactions"
MANIFEST, WORK = "manifest.json", ".work"
ITEMS, OFFSETS = "items.npy", "offsets.npy"
TRAINING_ITEMS, TRAINING_LENGTHS = "training_items.npy", "training_lengths.npy"
VALIDATION, TEST = "validation.npy", "test.npy"
USERS, VOCABULARY = "users.parquet", "vocabulary.parquet"
FILES = (ITEMS, OFFSETS, TRAINING_ITEMS, TRAINING_LENGTHS, VALIDATION, TEST, USERS, VOCABULARY)


def write_array(
    path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...], pieces: Iterable[npt.NDArray[np.generic]]
) -> None:
    """Write an array of which only a piece is in memory as `.npy`; the pieces follow each other in C order."""
    kind = np.dtype(dtype)
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            np.ascontiguousarray(piece, kind).tofile(file)


def write_ids(folder: Path, users: pl.Series, items: pl.Series, counts: npt.NDArray[np.int64]) -> None:
    """Write the ids of users and items, with the items' training counts `[I]`."""
    pl.DataFrame({"user_id": users.rechunk()}).write_parquet(folder / USERS)
    pl.DataFrame({"item_id": items.rechunk(), "count": counts}).write_parquet(folder / VOCABULARY)


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Finish a prepared set."""
    files = {}
    for name in FILES:
        flush(folder / name)
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    document = {"format": FORMAT, "kind": KIND, "mltfr": __version__, **facts, "files": files}
    with atomic_file(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def is_prepared(path: Path) -> bool:
    """Say whether a path is a prepared set, finished or not."""
    if not path.is_dir():
        return False
    if (path / WORK).is_dir() or (path / OFFSETS).is_file():
        return True
    try:
        document = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("kind") == KIND


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a prepared set's manifest, after checking its format and every checksum.

    Raises:
        DataError: the set is not finished, of another format, or a file is missing or damaged.
    """
    again = f"Make it again: mltfr data prepare FILE --out {folder}"
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder}: this prepared set is not finished. {again}")
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind, given = document["kind"], document["format"]
        files = {name: (int(file["bytes"]), str(file["sha256"])) for name, file in document["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged, or not that of a prepared set. {again}") from error
    if kind != KIND:
        raise DataError(f"{folder}: holds {kind}, no prepared set. {again}")
    if given != FORMAT:
        raise DataError(
            f"{folder}: prepared in format {given} by mltfr {document.get('mltfr', 'unknown')}; this is mltfr "
            f"{__version__}, which reads format {FORMAT}. {again}"
        )
    for name in FILES:
        file = folder / name
        if name not in files or not file.is_file():
            raise DataError(f"{file}: missing from the prepared set. {again}")
        size, checksum = files[name]
        if file.stat().st_size != size or sha256(file) != checksum:
            raise DataError(f"{file}: damaged (it is not what the manifest lists). {again}")
    return document
