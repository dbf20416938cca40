"""How a vocabulary spells a word: the whole word where it is a token, else its longest pieces."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from mltfr.errors import TokenTableError
from mltfr.tokens.config import TokensConfig
from mltfr.tokens.store import TokenStore
from mltfr.tokens.words import Token, TokenKind, read_vocabulary, rows_by_word, spell


@dataclass(frozen=True)
class Spelling:
    """The rows of a table that spell words, whatever their case and whatever style its vocabulary marks words in.

    Attributes:
        begins: row of every text that a word may begin with, in lower case.
        inside: row of every text that may stand inside a word.
    """

    begins: Mapping[str, int]
    inside: Mapping[str, int]

    @classmethod
    def of(cls, tokens: Iterable[tuple[int, Token]]) -> Self:
        """Return the spelling of (row, token) pairs; tokens that are not text spell nothing."""
        pairs = list(tokens)
        return cls(rows_by_word(pairs), rows_by_word(pairs, prefer=TokenKind.PIECE))

    @cached_property
    def _longest(self) -> int:
        """Letters of the longest text."""
        return max(map(len, self.begins), default=0)

    def rows(self, word: str) -> list[int]:
        """Return the rows of a word's tokens; none where it cannot be spelled, neither as it is nor without accents."""
        word = word.casefold()
        pieces = spell(word, self.begins, self._longest) or spell(without_accents(word), self.begins, self._longest)
        return [(self.inside if place else self.begins)[piece] for place, piece in enumerate(pieces)]


def without_accents(word: str) -> str:
    """Return a word without the marks on its letters, as uncased BERT's tokenizer reads it."""
    if word.isascii():
        return word
    return "".join(mark for mark in unicodedata.normalize("NFD", word) if unicodedata.category(mark) != "Mn")


def load_spellings(config: TokensConfig, store: TokenStore | None = None) -> dict[str, Spelling]:
    """Return the spelling of every prepared table that the settings name; its rows are those of the prepared table.

    Args:
        config: which tables, and how they are prepared.
        store: where they are kept, after `load_tables`; the default store if not given.

    Raises:
        TokenTableError: a table is missing or damaged.
    """
    store = store or TokenStore()
    found = {}
    for name in config.tables:
        table = store.open(name)
        tokens = read_vocabulary(table.vocabulary, table.special)
        if config.prepare == "default":
            tokens = [token for token in tokens if token.is_text]  # as `reduce_table` keeps them
        found[name] = Spelling.of(enumerate(tokens))
        if not found[name].begins:
            raise TokenTableError(f"token table '{name}': its vocabulary has no words, so it cannot read names.")
    return found
