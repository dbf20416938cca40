"""Nearest neighbours among the rows of a table, by cosine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltfr.errors import TokenTableError, shown
from mltfr.tokens.matrix import mean_row, row_chunks, unit_rows
from mltfr.tokens.reduce import text_rows
from mltfr.tokens.spelling import Spelling
from mltfr.tokens.table import PreparedTable, TokenTable
from mltfr.tokens.words import read_vocabulary

_BLOCK = 32
"""Rows compared with the whole table at a time."""


@dataclass(frozen=True)
class Neighbour:
    """A token near a word.

    Attributes:
        word: its text.
        token: its string in the vocabulary.
        cosine: similarity of the centred vectors, -1 to 1.
    """

    word: str
    token: str
    cosine: float


@dataclass(frozen=True)
class Nearest:
    """The tokens nearest to a word.

    Attributes:
        pieces: the tokens that spell the word; several are averaged.
        neighbours: nearest first.
    """

    pieces: list[str]
    neighbours: list[Neighbour]


def nearest(table: TokenTable, word: str, k: int = 10) -> Nearest:
    """Return the `k` text tokens nearest to a word, by cosine after centring; each word once.

    A word that is not one token is represented by the mean of its longest pieces.

    Args:
        table: the table as shipped.
        word: a word, in any case.
        k: number of tokens.

    Raises:
        TokenTableError: it is not one word, or the vocabulary cannot spell it.
    """
    tokens = read_vocabulary(table.vocabulary, table.special)
    pieces = Spelling.of(enumerate(tokens)).rows(word.strip())
    if len(word.split()) != 1:
        raise TokenTableError(f"{shown(word)} is {len(word.split())} words. Ask for one word.")
    if not pieces:
        raise TokenTableError(f"'{word}' cannot be spelled with tokens of '{table.name}'. Try another word.")
    rows = text_rows(tokens)
    centre = mean_row(table.embeddings, rows)                                              # [W]
    own = table.embeddings[pieces].astype(np.float32)                                      # [pieces, W]
    query = unit_rows((own - centre).mean(axis=0, keepdims=True))[0]                       # [W]
    cosines = np.concatenate([unit_rows(chunk - centre) @ query for chunk in row_chunks(table.embeddings, rows)])
    found: list[Neighbour] = []
    seen = {tokens[row].word.casefold() for row in pieces}
    for place in np.argsort(-cosines, kind="stable"):
        row = int(rows[place])
        if len(found) == k:
            break
        if (folded := tokens[row].word.casefold()) not in seen:
            seen.add(folded)
            found.append(Neighbour(tokens[row].word, table.vocabulary[row], float(cosines[place])))
    return Nearest([table.vocabulary[row] for row in pieces], found)


def with_neighbours(table: PreparedTable, rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return rows and the `count` nearest rows to each of them, by cosine; sorted, each once.

    Among equally near rows the first in the table are taken.

    Args:
        table: the prepared table, `[V, W]`.
        rows: int64 `[R]`.
        count: neighbours of each row, itself excluded; fewer where the table has no more.
    """
    count = min(count, table.shape[0] - 1)
    found = [rows]
    for start in range(0, len(rows) if count else 0, _BLOCK):
        block = rows[start : start + _BLOCK]                                    # [r]
        own = unit_rows(table.vectors[block].astype(np.float32))                # [r, W]
        cosine = np.concatenate([own @ unit_rows(chunk).T for chunk in row_chunks(table.vectors)], axis=1)  # [r, V]
        cosine[np.arange(len(block)), block] = -np.inf
        found.append(np.argsort(-cosine, axis=1, kind="stable")[:, :count].ravel())
    return np.unique(np.concatenate(found)).astype(np.int64)
