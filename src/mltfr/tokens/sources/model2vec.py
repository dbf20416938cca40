"""Tables of model2vec: the row of token t is `embeddings[mapping[t]] * weights[t]`; either of the two may be missing.

Reducing a vocabulary to fewer rows makes a mapping, and weighting tokens by their frequency makes weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import TokenTableError

TABLE, MAPPING, WEIGHTS = "embeddings", "mapping", "weights"
_INTEGERS = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "U64": "<u8", "U32": "<u4", "U16": "<u2"}
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def is_mapped(table: str, tensors: Mapping[str, Any]) -> bool:
    """Return whether a table's rows are not yet those of its tokens."""
    return table == TABLE and (MAPPING in tensors or WEIGHTS in tensors)


def stored_type(name: str, kind: str, shape: tuple[int, ...], where: str) -> str:
    """Return numpy's type of the mapping or of the weights.

    Raises:
        TokenTableError: it is no vector, or of another type.
    """
    types = _INTEGERS if name == MAPPING else _FLOATS
    if kind not in types or len(shape) != 1:
        raise TokenTableError(
            f"{where}: tensor '{name}' is {kind} {'x'.join(map(str, shape))}; it should be a vector of "
            f"{', '.join(types)}, one value for each token."
        )
    return types[kind]


def check(mapping: npt.NDArray[Any] | None, weights: npt.NDArray[Any] | None, rows: int, where: str) -> int:
    """Return the number of tokens, after checking that mapping, weights and table belong together.

    Args:
        mapping: integers `[V]`, a row of the table for each token.
        weights: floats `[V]`.
        rows: rows of the table.
        where: the file, for messages.

    Raises:
        TokenTableError: a row does not exist, or the lengths differ.
    """
    tokens = rows if mapping is None else len(mapping)
    if tokens == 0:
        raise TokenTableError(f"{where}: tensor '{MAPPING}' is empty: no token has a row.")
    if mapping is not None and not 0 <= int(mapping.min()) <= int(mapping.max()) < rows:
        wrong = int(np.argmax((mapping < 0) | (mapping >= rows)))
        raise TokenTableError(
            f"{where}: '{MAPPING}' gives token {wrong} row {int(mapping[wrong])}, and the table has {rows:,} rows: "
            "they do not belong together. Save the model again."
        )
    if weights is not None and len(weights) != tokens:
        raise TokenTableError(
            f"{where}: '{WEIGHTS}' has {len(weights):,} values for {tokens:,} tokens: they do not belong together. "
            "Save the model again."
        )
    return tokens
