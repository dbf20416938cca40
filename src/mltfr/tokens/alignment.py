"""Bringing the spaces of several token tables onto each other by the words that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.tokens.moments import Floats, unit_rows

FEWEST_WORDS = 20
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
        """Return what is to be recorded."""
        return {
            "shared_words": self.shared_words,
            "held_out_words": self.held_out_words,
            "accuracy": round(self.accuracy, 4),
        }


def shared_words(first: Mapping[str, int], second: Mapping[str, int]) -> list[str]:
    """Return the words with a letter in them that two vocabularies share, sorted.

    Args:
        first: a row for every word, see `words.representatives`.
        second: the other table's.
    """
    return sorted(word for word in first.keys() & second.keys() if any(map(str.isalpha, word)))


def procrustes(source: Floats, target: Floats) -> Floats:
    """Return the orthogonal matrix R that makes `source @ R` come nearest to `target`.

    Schönemann (1966): with `source' target = U S V'`, `R = U V'`.

    Args:
        source: `[n, W]`.
        target: `[n, W]`, the same words in the same order.
    """
    left, _, right = np.linalg.svd(source.T.astype(np.float64) @ target.astype(np.float64))
    return left @ right


def align(source: npt.NDArray[Any], target: npt.NDArray[Any], seed: int = 0) -> Alignment | None:
    """Fit the rotation of one table onto another, and measure how well it carries over to other words.

    Args:
        source: `[n, W]`, one row a shared word.
        target: `[n, W]`, the same words of the reference.
        seed: which half is held out.

    Returns:
        None where the tables share fewer than `FEWEST_WORDS` words.
    """
    count = len(source)
    if count < FEWEST_WORDS:
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


def retrieval_accuracy(source: Floats, target: Floats) -> float:
    """Return the share of rows whose nearest row of the other table, by cosine, is the one of the same word."""
    source, target = unit_rows(source), unit_rows(target)
    hits = 0
    for start in range(0, len(source), _BLOCK):
        nearest = (source[start : start + _BLOCK] @ target.T).argmax(axis=1)
        hits += int((nearest == np.arange(start, start + len(nearest))).sum())
    return hits / len(source)
