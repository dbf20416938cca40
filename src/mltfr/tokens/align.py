"""Alignment of token tables: a rotation onto a reference table, fitted on the words that both vocabularies share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.tokens.matrix import Floats, unit_rows
from mltfr.tokens.table import PreparedTable

MIN_SHARED_WORDS = 20
"""Shared words below which a rotation would be fitted to noise."""
_BLOCK = 1024


@dataclass(frozen=True)
class Alignment:
    """A rotation of one table onto the reference table.

    Attributes:
        rotation: orthogonal `[W, W]`; `vectors @ rotation` lies in the reference's space.
        shared_words: words that it was fitted on.
        held_out_words: words of the half that was held out to measure the quality.
        accuracy: share of the held-out words whose nearest neighbour among the reference's held-out words
            is the same word, with a rotation fitted on the other half.
    """

    rotation: Floats
    shared_words: int
    held_out_words: int
    accuracy: float

    def report(self) -> dict[str, Any]:
        """Return what a prepared table's report records."""
        return {
            "shared_words": self.shared_words,
            "held_out_words": self.held_out_words,
            "accuracy": round(self.accuracy, 4),
        }


def shared_words(first: Mapping[str, int], second: Mapping[str, int]) -> list[str]:
    """Return the words that two vocabularies share, sorted; only those with a letter.

    Args:
        first: row of every word, see `words.rows_by_word`.
        second: the same of the other table.
    """
    return sorted(word for word in first.keys() & second.keys() if any(map(str.isalpha, word)))


def procrustes(source: Floats, target: Floats) -> Floats:
    """Return the orthogonal matrix R `[W, W]` that minimises `|source @ R - target|`.

    Schönemann (1966): with `source' target = U S V'`, `R = U V'`.

    Args:
        source: `[n, W]`.
        target: `[n, W]`, the same words in the same order.
    """
    left, _, right = np.linalg.svd(source.T.astype(np.float64) @ target.astype(np.float64))
    return left @ right


def fit_alignment(source: npt.NDArray[Any], target: npt.NDArray[Any], seed: int = 0) -> Alignment | None:
    """Fit the rotation of one table onto another, and measure its accuracy on held-out words.

    Args:
        source: `[n, W]`, one row for each shared word.
        target: `[n, W]`, the same words in the reference table.
        seed: random seed of the held-out half.

    Returns:
        None where the tables share fewer than `MIN_SHARED_WORDS` words.
    """
    count = len(source)
    if count < MIN_SHARED_WORDS:
        return None
    source, target = source.astype(np.float32), target.astype(np.float32)
    order = np.random.default_rng(seed).permutation(count)
    fitted, held_out = order[: count // 2], order[count // 2 :]
    trial = procrustes(source[fitted], target[fitted])
    return Alignment(
        rotation=procrustes(source, target),
        shared_words=count,
        held_out_words=len(held_out),
        accuracy=retrieval_accuracy(source[held_out] @ trial.astype(np.float32), target[held_out]),
    )


def align_table(
    table: PreparedTable, reference: PreparedTable, rows: Mapping[str, int], reference_rows: Mapping[str, int]
) -> PreparedTable:
    """Return a table rotated into the space of the reference, or as it is where they share too few words.

    Args:
        table: a reduced table, `[V, W]`.
        reference: another of the same width.
        rows: row of every word of `table`.
        reference_rows: row of every word of `reference`.
    """
    words = shared_words(rows, reference_rows)
    alignment = fit_alignment(
        table.vectors[[rows[word] for word in words]], reference.vectors[[reference_rows[word] for word in words]]
    )
    if alignment is None:
        report = {"reference": reference.name, "shared_words": len(words), "accuracy": None}
        return replace(table, report={**table.report, "alignment": report})
    rotated = unit_rows(table.vectors.astype(np.float32) @ alignment.rotation.astype(np.float32))
    report = {"reference": reference.name, **alignment.report()}
    return replace(table, vectors=rotated.astype(np.float16), report={**table.report, "alignment": report})


def retrieval_accuracy(source: Floats, target: Floats) -> float:
    """Return the share of source rows whose nearest target row, by cosine, is the one of the same word."""
    source, target = unit_rows(source), unit_rows(target)
    hits = 0
    for start in range(0, len(source), _BLOCK):
        nearest = (source[start : start + _BLOCK] @ target.T).argmax(axis=1)
        hits += int((nearest == np.arange(start, start + len(nearest))).sum())
    return hits / len(source)
