"""The files in the folder of one table: `table.npy`, `vocabulary.json`, `provenance.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import TokenTableError
from mltfr.storage.files import read_json, sha256
from mltfr.storage.foreign import foreign_file
from mltfr.tokens.sources.base import OpenTable
from mltfr.tokens.verified import is_intact
from mltfr.tokens.vocabulary import TokenStrings

_TYPES = ("<f2", "<f4")


def digest_json(document: Any) -> str:
    """Return the SHA-256 of a JSON document."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def digest_values(chunks: Iterable[npt.NDArray[Any]]) -> str:
    """Return the SHA-256 of a table's values, row by row, as they are stored."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest()


def write_table(path: Path, table: OpenTable, name: str) -> str:
    """Write a `.npy` file and return the SHA-256 of its values, row by row, little-endian.

    Raises:
        TokenTableError: a value is not finite, or rows are missing.
    """
    dtype = table.dtype.newbyteorder("<")
    digest, rows = hashlib.sha256(), 0
    header = {"descr": dtype.str, "fortran_order": False, "shape": table.shape}
    largest = 0.0
    with path.open("wb") as file, np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused here
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in table.chunks():
            values = np.ascontiguousarray(chunk, dtype)
            finite = np.isfinite(values).all(axis=1)
            if not finite.all():
                raise TokenTableError(
                    f"{name}: row {rows + int(finite.argmin())} holds a value that is no finite number: "
                    "the file is damaged, or beyond float16's range."
                )
            file.write(values.data)
            digest.update(values.data)
            rows += len(values)
            largest = max(largest, float(np.abs(values).max(initial=0)))
    if rows != table.shape[0]:
        raise TokenTableError(f"{name}: damaged: {rows:,} rows arrived, {table.shape[0]:,} were announced.")
    if largest == 0.0:
        raise TokenTableError(f"{name}: every value of the table is zero, so it says nothing. Take another file.")
    return digest.hexdigest()


def write_vocabulary(path: Path, strings: TokenStrings) -> str:
    """Write the tokens and return the file's SHA-256."""
    document = {"tokens": strings.tokens, "special": sorted(strings.special)}
    path.write_text(json.dumps(document), encoding="utf-8")
    return sha256(path)


def write_provenance(path: Path, provenance: dict[str, Any]) -> str:
    """Write the provenance and return its SHA-256, which covers the other files, because it lists their checksums."""
    path.write_text(json.dumps(provenance, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return digest_json(provenance)


def read_folder(
    folder: Path, what: str, remedy: str, provenance: dict[str, Any], remembered: bool = True
) -> tuple[npt.NDArray[Any], TokenStrings]:
    """Read a folder, and check every byte that counts.

    Args:
        folder: the folder.
        what: name of the table, for messages.
        remedy: what to do if it is damaged.
        provenance: of the folder, checked already.
        remembered: whether a table that was found intact before, and has not changed since, is taken as intact.

    Returns:
        The values as a read-only memory map, and the tokens.

    Raises:
        TokenTableError: a file is missing or damaged.
    """
    table, vocabulary = folder / "table.npy", folder / "vocabulary.json"
    with _damaged(folder, what, remedy):
        values: npt.NDArray[Any] = np.lib.format.open_memmap(table, mode="r")
        if list(values.shape) != provenance["shape"] or values.dtype.str not in _TYPES or not values.flags.c_contiguous:
            raise ValueError("the table's header differs from what was written")
        if not is_intact(table, provenance["sha256"], lambda: digest_values([values]), remembered):
            raise TokenTableError(f"{what}: damaged: wrong checksum. {remedy}")
        if sha256(vocabulary) != provenance["vocabulary_sha256"]:
            raise TokenTableError(f"{what}: damaged vocabulary. {remedy}")
        document = read_json(vocabulary)
        strings = TokenStrings(tuple(document["tokens"]), frozenset(document["special"]))
        if len(strings.tokens) != len(values):
            raise ValueError("the files' sizes differ")
    return values, strings


def read_provenance(folder: Path, what: str, remedy: str) -> dict[str, Any]:
    """Read a folder's provenance alone; the caller checks its digest.

    Raises:
        TokenTableError: it is missing or damaged.
    """
    with _damaged(folder, what, remedy):
        provenance = read_json(folder / "provenance.json")
        if not {"sha256", "vocabulary_sha256", "shape"} <= provenance.keys():
            raise ValueError("no provenance")
    return provenance


def _damaged(folder: Path, what: str, remedy: str) -> AbstractContextManager[None]:
    return foreign_file(f"{what}: damaged ({folder})", TokenTableError, "holds no table", remedy)
