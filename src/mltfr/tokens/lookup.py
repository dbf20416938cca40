"""A user's words in a prepared table: their rows, and the rows nearest to those."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltfr.tokens.moments import chunks, unit_rows
from mltfr.tokens.near import spell
from mltfr.tokens.table import PreparedTable
from mltfr.tokens.words import Kind, Token, representatives

Rows = npt.NDArray[np.int64]
ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class FoundWords:
    """What a table knows of a list of words.

    Attributes:
        rows: their rows, sorted, each once.
        whole: words that are a token.
        pieces: words that were put together from their longest pieces.
        missing: words that the vocabulary cannot spell.
    """

    rows: Rows
    whole: tuple[str, ...]
    pieces: tuple[str, ...]
    missing: tuple[str, ...]


def find_words(table: PreparedTable, phrases: Iterable[str]) -> FoundWords:
    """Return the rows of words, whatever their case; a phrase is its words.

    A word is looked up as it stands, then as its longest pieces, the longest beginning taken each time.

    Args:
        table: the prepared table.
        phrases: words, or several with white space between them.
    """
    row_of = representatives((row, Token(Kind.WORD, word)) for row, word in enumerate(table.words))
    rows: set[int] = set()
    whole: list[str] = []
    pieces: list[str] = []
    missing: list[str] = []
    for word in dict.fromkeys(word.casefold() for phrase in phrases for word in phrase.split()):
        spelled = spell(word, row_of)
        rows |= {row_of[piece] for piece in spelled}
        (whole if spelled == [word] else pieces if spelled else missing).append(word)
    return FoundWords(np.array(sorted(rows), np.int64), tuple(whole), tuple(pieces), tuple(missing))


def with_neighbours(table: PreparedTable, rows: Rows, count: int) -> Rows:
    """Return rows and the `count` rows nearest to each of them by cosine, sorted, each once.

    Of equally near ones the first in the table are taken.

    Args:
        table: the prepared table, `[V, W]`.
        rows: int64 `[R]`.
        count: neighbours of each row, itself not among them; fewer where the table has no more.
    """
    count = min(count, table.shape[0] - 1)
    found = [rows]
    for start in range(0, len(rows) if count else 0, ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]                               # [r]
        own = unit_rows(table.vectors[some].astype(np.float32))                 # [r, W]
        cosine = np.concatenate([own @ unit_rows(chunk).T for chunk in chunks(table.vectors)], axis=1)  # [r, V]
        cosine[np.arange(len(some)), some] = -np.inf
        found.append(np.argsort(-cosine, axis=1, kind="stable")[:, :count].ravel())
    return np.unique(np.concatenate(found)).astype(np.int64)
