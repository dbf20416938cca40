"""Which tokens lie nearest to a word: a look at what a table knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mltfr.errors import TokenTableError
from mltfr.tokens.moments import chunks, mean_row, unit_rows
from mltfr.tokens.prepare import text_rows
from mltfr.tokens.table import TokenTable
from mltfr.tokens.words import Kind, read_vocabulary, representatives


@dataclass(frozen=True)
class Neighbour:
    """A token near a word.

    Attributes:
        word: as a person reads it.
        token: as the vocabulary writes it.
        cosine: similarity of the centred vectors, -1 to 1.
    """

    word: str
    token: str
    cosine: float


@dataclass(frozen=True)
class Nearest:
    """What lies near a word.

    Attributes:
        pieces: the tokens that the word was found as: one, or several that were averaged.
        neighbours: nearest first.
    """

    pieces: list[str]
    neighbours: list[Neighbour]


def nearest(table: TokenTable, word: str, k: int = 10) -> Nearest:
    """Return the `k` text tokens nearest to a word, by cosine after centring; each word once.

    A word that is no token of its own is looked up as the mean of its longest pieces.

    Args:
        table: the table as shipped.
        word: a word, in any case.
        k: how many.

    Raises:
        TokenTableError: the vocabulary cannot spell the word.
    """
    tokens = read_vocabulary(table.vocabulary, table.special)
    begins = representatives(enumerate(tokens))
    goes_on = representatives(enumerate(tokens), prefer=Kind.PIECE)
    spelled = spell(word.strip().casefold(), begins)
    pieces = [(begins if place == 0 else goes_on)[piece] for place, piece in enumerate(spelled)]
    if not pieces:
        raise TokenTableError(f"'{word}' cannot be spelled with tokens of '{table.name}'. Try another word.")
    rows = text_rows(tokens)
    centre = mean_row(table.embeddings, rows)                                              # [W]
    own = table.embeddings[pieces].astype(np.float32)                                      # [pieces, W]
    query = unit_rows((own - centre).mean(axis=0, keepdims=True))[0]                       # [W]
    cosines = np.concatenate([unit_rows(chunk - centre) @ query for chunk in chunks(table.embeddings, rows)])
    found: list[Neighbour] = []
    seen = set(spelled)
    for place in np.argsort(-cosines, kind="stable"):
        row = int(rows[place])
        if len(found) == k:
            break
        if (folded := tokens[row].word.casefold()) not in seen:
            seen.add(folded)
            found.append(Neighbour(tokens[row].word, table.vocabulary[row], float(cosines[place])))
    return Nearest([table.vocabulary[row] for row in pieces], found)


def spell(word: str, row_of: Mapping[str, int]) -> list[str]:
    """Return the pieces of a word, the longest beginning taken each time; empty if that gets stuck."""
    pieces = []
    while word:
        piece = next((word[:end] for end in range(len(word), 0, -1) if word[:end] in row_of), None)
        if piece is None:
            return []
        pieces.append(piece)
        word = word[len(piece) :]
    return pieces
