"""Reduction of one token table: text tokens only, centred, projected onto principal components, unit norm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mltfr.errors import TokenTableError
from mltfr.tokens.matrix import mean_and_covariance, row_chunks, unit_rows
from mltfr.tokens.table import PreparedTable, TokenTable
from mltfr.tokens.words import Token, read_vocabulary


def reduce_table(table: TokenTable, width: int, tokens: Sequence[Token] | None = None) -> PreparedTable:
    """Drop tokens that are not text, centre, project onto the leading principal components, scale to unit norm.

    The truncated SVD of the centred table is taken from the eigenvectors of its `W x W` covariance, which
    is exact and needs a few rows in memory at a time. A table narrower than `width` keeps all its variance
    and is padded with zero columns, so that what a table becomes does not depend on the tables beside it.

    Args:
        table: the table as shipped, `[V, W]`.
        width: the common width.
        tokens: what `read_vocabulary` returned for its vocabulary; read here if not given.

    Returns:
        Vectors `[V', width]` float16 of the text tokens, in their order.

    Raises:
        TokenTableError: the table has fewer than two text tokens.
    """
    read = tokens if tokens is not None else read_vocabulary(table.vocabulary, table.special)
    rows = text_rows(read)
    if len(rows) < 2:
        raise TokenTableError(f"token table '{table.name}': {len(rows)} of its tokens are text, 2 are needed.")
    mean, covariance = mean_and_covariance(table.embeddings, rows)
    variances, directions = np.linalg.eigh(covariance)
    order = np.argsort(-variances)[:width]
    basis = directions[:, order]                                      # [W, width or less]
    basis *= np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(len(order))])  # signs are arbitrary: fix them
    vectors = np.zeros((len(rows), width), np.float16)
    start = 0
    for chunk in row_chunks(table.embeddings, rows):
        projected = (chunk - mean) @ basis.astype(np.float32)
        vectors[start : start + len(chunk), : len(order)] = unit_rows(projected)
        start += len(chunk)
    total = float(np.clip(variances, 0, None).sum())
    kept = float(np.clip(variances[order], 0, None).sum())
    dropped = Counter(token.kind.value for token in read if not token.is_text)
    report = {
        "tokens_kept": len(rows),
        "tokens_dropped": dict(sorted(dropped.items())),
        "width_in_source": table.shape[1],
        "kept_variance": kept / total if total > 0 else 1.0,
    }
    return PreparedTable(table.name, vectors, tuple(token.word for token in read if token.is_text), report)


def text_rows(tokens: Sequence[Token]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the rows whose tokens are text."""
    return np.array([row for row, token in enumerate(tokens) if token.is_text], dtype=np.intp)
