"""Item features that the user supplies, such as embeddings of texts or images: one vector for every item id.

Parquet: a column of item ids (`item_id`, or a usual synonym) and either one column of lists, or numeric columns,
each a component in the order of the file. safetensors: one tensor `[W]` for every item, named by its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.numpy import load_file

from mltfr.errors import DataError
from mltfr.interactions.columns import ITEM_NAMES, usual_column
from mltfr.interactions.ids import WHITE_SPACE, id_texts
from mltfr.interactions.vocabulary import Vocabulary
from mltfr.storage.files import sha256
from mltfr.storage.foreign import foreign_file, foreign_parquet

Floats = npt.NDArray[np.float32]
EXPECTED = "Expected an item_id column and one column of lists, or numeric columns"


@dataclass(frozen=True)
class ItemFeatures:
    """One vector for every item that training knows.

    Attributes:
        vectors: float32 `[I + 1, W]` in the order of the codes; row 0, and items without a vector, are zero.
        missing: ids of the items without one.
        source: name of the file.
        sha256: its checksum.
    """

    vectors: Floats
    missing: tuple[str, ...]
    source: str
    sha256: str

    def report(self) -> dict[str, Any]:
        """Return the fields of the manifest that describe them."""
        items = len(self.vectors) - 1
        return {
            "source": self.source,
            "sha256": self.sha256,
            "width": self.vectors.shape[1],
            "coverage": (items - len(self.missing)) / items,
            "missing": len(self.missing),
        }


def read_item_features(path: Path, vocabulary: Vocabulary, missing: Literal["error", "zero"] = "error") -> ItemFeatures:
    """Read the vectors of the items that training knows; those of other items are left out.

    Args:
        path: a `.parquet` or `.safetensors` file.
        vocabulary: the items.
        missing: what happens where an item has none.

    Raises:
        DataError: the file cannot be read, is not what it should be, or lacks items.
    """
    readers = {".parquet": _read_parquet, ".safetensors": _read_safetensors}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: the ending says the format; item vectors are read from {', '.join(readers)}.")
    if not path.is_file():
        raise DataError(f"{path}: no such file. Check the path of the item vectors.")
    ids, found = readers[path.suffix.lower()](path)
    row_of = {item: row for row, item in enumerate(ids)}
    absent = tuple(item for item in vocabulary.item_ids if item not in row_of)
    if absent and (missing == "error" or len(absent) == len(vocabulary)):
        advice = "" if len(absent) == len(vocabulary) else ", or set fusion.missing = 'zero' to give them zeros"
        raise DataError(
            f"{path}: {len(absent):,} of the {len(vocabulary):,} items have no vector (first: "
            f"{', '.join(absent[:3])}). Add them{advice}."
        )
    rows = np.array([row_of[item] for item in vocabulary.item_ids if item in row_of], np.int64)
    codes = np.array([code for code, item in enumerate(vocabulary.item_ids, start=1) if item in row_of], np.int64)
    finite = np.isfinite(found[rows]).all(axis=1)
    if not finite.all():
        item = ids[rows[int(finite.argmin())]]
        raise DataError(f"{path}: the vector of item '{item}' holds a value that is no finite number. Correct it.")
    vectors = np.zeros((len(vocabulary) + 1, found.shape[1]), np.float32)
    vectors[codes] = found[rows]
    return ItemFeatures(vectors, absent, path.name, sha256(path))


def _read_parquet(path: Path) -> tuple[list[str], Floats]:
    """Return ids and vectors `[R, W]` of a Parquet file."""
    with foreign_parquet(path):
        frame = pl.read_parquet(path)
    column = usual_column(frame.columns, ITEM_NAMES)
    if column is None:
        raise DataError(f"{path}: no item column among {', '.join(frame.columns[:8]) or 'no columns'}. {EXPECTED}.")
    ids = id_texts(frame[column], f"{path}: {column}").str.strip_chars().replace("", None)
    if ids.null_count() or ids.is_duplicated().any():
        first = "empty" if ids.null_count() else f"'{ids.filter(ids.is_duplicated())[0]}' twice"
        raise DataError(f"{path}: {column} is {first}. Give every item one row.")
    rest = frame.drop(column)
    lists = [name for name, kind in rest.schema.items() if isinstance(kind, pl.List | pl.Array)]
    numeric = [name for name, kind in rest.schema.items() if kind.is_numeric()]
    if len(lists) == 1 and not numeric:
        values = rest[lists[0]].cast(pl.List(pl.Float32), strict=False)
        lengths = values.list.len()
        if values.null_count() or lengths.n_unique() > 1 or not lengths.max():
            raise DataError(f"{path}: the lists in {lists[0]} must have one length, the width of the vectors.")
        flat = values.explode(empty_as_null=False).fill_null(float("nan")).to_numpy()
        return ids.to_list(), flat.reshape(len(ids), -1).astype(np.float32)
    if lists or not numeric:
        raise DataError(f"{path}: found {len(lists)} columns of lists and {len(numeric)} of numbers. {EXPECTED}.")
    table = rest.select(pl.col(numeric).cast(pl.Float32).fill_null(float("nan")))
    return ids.to_list(), table.to_numpy().astype(np.float32)


def _read_safetensors(path: Path) -> tuple[list[str], Floats]:
    """Return ids and vectors `[R, W]` of a safetensors file."""
    problem = "not a safetensors file of float16, float32 or float64"
    with foreign_file(path, DataError, problem, "Convert it, or write Parquet."):
        tensors = load_file(path)
    shapes = {tensor.shape for tensor in tensors.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or not max(next(iter(shapes))):
        raise DataError(
            f"{path}: expected one tensor [W] for every item, named by its id and all of one width; "
            f"found shapes {', '.join(map(str, sorted(shapes)[:3])) or 'of no tensor'}."
        )
    ids = [name.strip(WHITE_SPACE) for name in tensors]
    if len(set(ids)) < len(ids) or "" in ids:
        raise DataError(f"{path}: two tensors have one name but for white space, or one has none. Give each item one.")
    return ids, np.stack([tensor.astype(np.float32) for tensor in tensors.values()])
