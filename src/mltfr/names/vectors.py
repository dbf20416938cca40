"""From the texts of items to vectors, of the width of the model or less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array, diags_array

from mltfr.errors import DataError
from mltfr.interactions import Vocabulary
from mltfr.interactions.histories import Histories
from mltfr.interactions.item_names import NAME
from mltfr.interactions.raw import ITEM
from mltfr.names.agreement import Agreement, agreement
from mltfr.names.config import NamesConfig
from mltfr.names.coverage import EXAMPLES, NameCoverage, TableCoverage
from mltfr.names.new_items import NewNames
from mltfr.names.scale import item_scales
from mltfr.names.space import NameSpace, TablePart, name_space
from mltfr.names.texts import ItemTexts
from mltfr.names.word_space import WordSpace, word_space
from mltfr.names.words import ItemWords, known, under, words_of
from mltfr.tokens.spelling import Spelling
from mltfr.tokens.table import PreparedTable

READ = 256
"""Principal components of the names among which those that agree are looked for."""


@dataclass(frozen=True, eq=False)
class NameVectors:
    """The vectors of the names of the items that training knows.

    Attributes:
        vectors: float32 `[I + 1, D]`, each on the scale of its item; zero at padding and where there is no name.
        coverage: how far the names reach.
        kept: share of the names' variance that the principal components keep.
        space: the space that they lie in with the tokens; None where the words themselves are read.
        agreement: the directions that are used; None where these are the components of most variance.
        new: the names of items that training has not seen, where they are candidates; None where they are not.
    """

    vectors: npt.NDArray[np.float32]
    coverage: NameCoverage
    kept: float
    space: NameSpace | None = None
    agreement: Agreement | None = None
    new: NewNames | None = None


def name_vectors(
    texts: ItemTexts,
    vocabulary: Vocabulary,
    histories: Histories,
    config: NamesConfig,
    dimensions: int,
    tables: Sequence[PreparedTable] = (),
    spellings: Mapping[str, Spelling] | None = None,
    seed: int = 0,
) -> NameVectors:
    """Return the vectors of items' names; the order of the tables has no meaning.

    Args:
        texts: what is said about items.
        vocabulary: the items that training knows; only their names decide what the components are.
        histories: the training histories.
        config: settings.
        dimensions: number of components D.
        tables: the prepared tables, where names are read with them.
        spellings: how each of them spells words, by name.
        seed: seed of the order of permuted names.

    Raises:
        DataError: no item has a name with a word in it, or no table spells a word of any.
    """
    words = item_words(texts, vocabulary, config, seed)
    spelled = sorted((spellings or {}).items()) if config.by_tables else []
    coverage = coverage_of(texts, vocabulary, words, [TableCoverage.of(name, each, words) for name, each in spelled])
    weights, agreeing, new = words.weighted(config.idf), None, None
    agree = config.components == "agreement"
    width, whiten = (READ, False) if agree else (dimensions, config.whiten)
    space: NameSpace | WordSpace
    if config.by_tables:
        parts = _parts(spelled, tables, words, weights)
        if not any(part.weights.nnz for part in parts):
            raise DataError(f"{texts.source}: no token table can spell a word of these names. Choose other --tokens.")
        space = name_space(parts, width, config.first_direction == "remove", whiten)
        vectors = space.vectors(parts)
    else:
        space = word_space(weights, width, whiten)
        vectors = space.vectors(weights)
    if config.new_items:
        if not vectors.any():
            same = "all names say the same, so they tell no new item apart. Leave out --new-items."
            raise DataError(f"{texts.source}: {same}")
        others = texts.beside(vocabulary)
        of_others = words_of(others[NAME])
        by_training = of_others.weighted(config.idf, among=words)
        if isinstance(space, NameSpace):
            placed = space.vectors(_parts(spelled, tables, of_others, by_training))
        else:
            placed = space.vectors(known(words.words, of_others.words, by_training))
        said = np.any(placed, axis=1)                                                # [N]
        beside = under(words.words, of_others.words, weights, by_training[np.flatnonzero(said)])
        new = NewNames(tuple(others[ITEM].filter(pl.Series(said))), vectors, placed[said], beside)
    if agree:
        there = np.any(vectors, axis=1)                                              # [I]
        agreeing = agreement(vectors, there, histories, dimensions)
        vectors = agreeing.vectors(vectors) * there[:, None]
        space = space.onto(agreeing) if isinstance(space, NameSpace) else space
    vectors = np.concatenate([np.zeros((1, dimensions), np.float32), vectors])      # [I + 1, D]
    vectors *= item_scales(config, vocabulary.counts)[:, None]
    return NameVectors(vectors, coverage, space.kept, space if isinstance(space, NameSpace) else None, agreeing, new)


def item_words(texts: ItemTexts, vocabulary: Vocabulary, config: NamesConfig, seed: int = 0) -> ItemWords:
    """Return the words of the names of the items that training knows.

    Args:
        texts: what is said about items.
        vocabulary: the items.
        config: settings.
        seed: seed of the order of permuted names.

    Raises:
        DataError: no item has a name with a word in it.
    """
    found = texts.of(vocabulary)
    words = words_of(_permuted(found, seed) if config.control == "permuted" else found)
    if not words.words:
        raise DataError(f"{texts.source}: no name of an item of the log has a letter or a digit. Give names in words.")
    return words


def _parts(
    spelled: Sequence[tuple[str, Spelling]], tables: Sequence[PreparedTable], words: ItemWords, weights: csr_array
) -> list[TablePart]:
    """Return what every table says of names, by the weights of their words `[I, U]`."""
    of = {table.name: table for table in tables}
    return [_part(of[name], spelling, words, weights) for name, spelling in spelled]


def _part(table: PreparedTable, spelling: Spelling, words: ItemWords, weights: csr_array) -> TablePart:
    """Return what a table says: of the words that it spells the mean by their weights, and of a word its tokens'."""
    rows = [spelling.rows(word) for word in words.words]
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))                      # [U]
    used, columns = np.unique(np.fromiter(chain.from_iterable(rows), np.int64), return_inverse=True)
    share = np.repeat(1 / np.maximum(lengths, 1), lengths)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    tokens = csr_array((share.astype(np.float32), columns, starts), (len(rows), len(used)))     # [U, V]
    total = weights @ (lengths > 0).astype(np.float32)                             # [I]
    inverse = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
    mixed = csr_array(diags_array(inverse) @ (weights @ tokens))
    mixed.sum_duplicates()
    return TablePart(table.name, mixed, table.vectors[used].astype(np.float32))


def _permuted(texts: pl.Series, seed: int) -> pl.Series:
    """Return texts in another order; what has none keeps none."""
    places = texts.is_not_null().arg_true()
    order = np.random.default_rng(seed).permutation(len(places))
    return texts.clone().scatter(places, texts.gather(places).gather(order))


def coverage_of(
    texts: ItemTexts, vocabulary: Vocabulary, words: ItemWords, tables: Sequence[TableCoverage] = ()
) -> NameCoverage:
    """Return how far names reach, and into these tables."""
    nameless = np.flatnonzero(~words.named)[:EXAMPLES]
    return NameCoverage(
        source=Path(texts.source).name,
        columns=texts.columns,
        items=len(vocabulary),
        named=int(words.named.sum()),
        nameless=tuple(vocabulary.item_ids[place] for place in nameless),
        words=words.has.nnz,
        different=len(words.words),
        shared=int((words.items > 1).sum()),
        tables=tuple(tables),
    )
