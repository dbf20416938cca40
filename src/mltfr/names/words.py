"""The words of items' names: which there are, and which item has which."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array, vstack

_SIGNS = r"\p{Han}\p{Hiragana}\p{Katakana}"
WORD = rf"[{_SIGNS}]|[[\p{{L}}\p{{M}}\p{{Nd}}]--[{_SIGNS}]]+"
"""A word: letters and digits in a row, or a single sign of a writing without spaces."""
_POSSESSIVE = r"['’]s\b"
CHUNK = 1 << 16
"""Names that are split together."""


@dataclass(frozen=True, eq=False)
class ItemWords:
    """The words of items.

    Attributes:
        words: the different words, in lower case.
        has: float32 `[I, U]`, sparse; 1 where an item has a word, however often.
    """

    words: tuple[str, ...]
    has: csr_array

    @property
    def items(self) -> npt.NDArray[np.int64]:
        """How many items have every word, `[U]`."""
        return np.bincount(self.has.indices, minlength=len(self.words)).astype(np.int64)

    @property
    def named(self) -> npt.NDArray[np.bool_]:
        """Which items have a word, `[I]`."""
        return np.diff(self.has.indptr) > 0

    def weighted(self, idf: bool, among: ItemWords | None = None) -> csr_array:
        """Return the weight of every word of every item, `[I, U]`.

        With `idf` a word that `n` of `N` named items have weighs `log((N + 1) / n)` (Spärck Jones 1972; the 1 keeps a
        word of all items above zero), else 1.

        Args:
            idf: whether words weigh by that.
            among: the named items that are counted; these if not given.
        """
        if not idf:
            return self.has
        items = self.items
        if among is not None:
            known = dict(zip(among.words, among.items.tolist(), strict=True))
            items = np.fromiter((known.get(word, 0) for word in self.words), np.int64, len(self.words))
        named = (among or self).named.sum()
        weights = np.log((named + 1) / np.maximum(items, 1)).astype(np.float32)    # [U]
        return csr_array((weights[self.has.indices], self.has.indices, self.has.indptr), self.has.shape)


def words_of(texts: pl.Series) -> ItemWords:
    """Split texts into words.

    Args:
        texts: `[I]`, null where there is none.
    """
    codes: dict[str, int] = {}
    rows, columns = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for start in range(0, len(texts), CHUNK):
        some = texts.slice(start, CHUNK)
        found = some.str.replace_all(_POSSESSIVE, "").str.extract_all(WORD)
        row = pl.arange(start, start + len(some), dtype=pl.Int32, eager=True)
        table = pl.DataFrame({"row": row, "word": found}).explode("word", empty_as_null=False).drop_nulls()
        words = table["word"].unique(maintain_order=True)
        code = [codes.setdefault(normal(word), len(codes)) for word in words]
        rows.append(table["row"].to_numpy())
        columns.append(table["word"].replace_strict(words, code, return_dtype=pl.Int32).to_numpy())
    places = np.concatenate(rows), np.concatenate(columns)
    has = csr_array((np.ones(len(places[0]), np.float32), places), (len(texts), len(codes)))
    has.sum_duplicates()
    has.data[:] = 1
    return ItemWords(tuple(codes), has)


def under(words: Sequence[str], others: Sequence[str], weights: csr_array, of_others: csr_array) -> csr_array:
    """Return the word weights of some items with those of others under them, `[I + N, U + V]`.

    Args:
        words: the words of the first ones.
        others: the words of the others, V of which the first ones do not have.
        weights: `[I, U]`.
        of_others: `[N, W]`.
    """
    codes = {word: code for code, word in enumerate(words)}
    columns = np.fromiter((codes.setdefault(word, len(codes)) for word in others), np.int64, len(others))
    wide = csr_array((weights.data, weights.indices, weights.indptr), (weights.shape[0], len(codes)))
    shape = (of_others.shape[0], len(codes))
    return csr_array(vstack([wide, csr_array((of_others.data, columns[of_others.indices], of_others.indptr), shape)]))


def known(words: Sequence[str], others: Sequence[str], of_others: csr_array) -> csr_array:
    """Return the word weights of other items, as far as they are of these words, `[N, U]`.

    Args:
        words: these words.
        others: the words of the other items.
        of_others: `[N, W]`.
    """
    codes = {word: code for code, word in enumerate(words)}
    columns = np.fromiter((codes.get(word, -1) for word in others), np.int64, len(others))
    found = of_others.tocoo()
    columns, rows = columns[found.col], found.row
    there = columns >= 0
    return csr_array((found.data[there], (rows[there], columns[there])), (of_others.shape[0], len(codes)))


def normal(word: str) -> str:
    """Return a word as it is compared: its letters in one form (NFKC), without case."""
    return word.casefold() if word.isascii() else unicodedata.normalize("NFKC", word).casefold()
