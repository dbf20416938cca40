"""The files in the folder of one table: `table.npy`, `vocabulary.json`, `provenance.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import TokenTableError
from mltfr.storage.files import read_json, sha256
from mltfr.tokens.sources.base import OpenTable
from mltfr.tokens.vocabulary import TokenStrings


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
    with path.open("wb") as file:
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
    if rows != table.shape[0]:
        raise TokenTableError(f"{name}: damaged: {rows:,} rows arrived, {table.shape[0]:,} were announced.")
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
    folder: Path, what: str, remedy: str
) -> tuple[npt.NDArray[Any], TokenStrings, dict[str, Any]]:
    """Read a folder; only the sizes of its files are checked, not their checksums.

    Args:
        folder: the folder.
        what: name of the table, for messages.
        remedy: what to do if it is damaged.

    Returns:
        The values as a read-only memory map, the tokens, the provenance.

    Raises:
        TokenTableError: a file is missing, damaged or cut off.
    """
    provenance = read_provenance(folder, what, remedy)
    try:
        document = read_json(folder / "vocabulary.json")
        strings = TokenStrings(tuple(document["tokens"]), frozenset(document["special"]))
        values: npt.NDArray[Any] = np.load(folder / "table.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise TokenTableError(f"{what}: damaged ({folder}: {error}). {remedy}") from error
    if list(values.shape) != provenance.get("shape") or len(strings.tokens) != len(values):
        raise TokenTableError(f"{what}: damaged ({folder}: the files' sizes differ). {remedy}")
    return values, strings, provenance


def read_provenance(folder: Path, what: str, remedy: str) -> dict[str, Any]:
    """Read a folder's provenance alone; see `read_folder`."""
    try:
        provenance = read_json(folder / "provenance.json")
    except (OSError, ValueError) as error:
        raise TokenTableError(f"{what}: damaged ({folder}: {error}). {remedy}") from error
    if not {"sha256", "vocabulary_sha256", "shape"} <= provenance.keys():
        raise TokenTableError(f"{what}: damaged ({folder}: no provenance). {remedy}")
    return provenance
