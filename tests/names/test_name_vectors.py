"""From names to vectors: items that share words or meaning lie near each other, and controls have what they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mltfr.errors import DataError
from mltfr.interactions import Vocabulary
from mltfr.interactions.histories import Histories
from mltfr.names.config import NamesConfig
from mltfr.names.scale import item_scales
from mltfr.names.texts import item_texts
from mltfr.names.vectors import NameVectors, name_vectors
from mltfr.tokens.matrix import unit_rows
from mltfr.tokens.spelling import Spelling
from mltfr.tokens.table import PreparedTable
from mltfr.tokens.words import Token, TokenKind

WORDS = ("red", "crimson", "blue", "navy", "shoe", "boot", "hat", "cap")
"""Of which two and two mean the same."""
IDS = ("a", "b", "c", "d", "e", "f", "nameless", "odd")
TEXTS = {"a": "red shoe", "b": "Crimson boot!", "c": "blue hat", "d": "navy cap", "e": "red shoe", "f": "blue shoe",
         "odd": "qqqq", "elsewhere": "red red red"}  # fmt: skip
VOCABULARY = Vocabulary(IDS, np.array([0, 9, 1, 1, 1, 9, 1, 1, 1]))
READ_BY_TABLES = NamesConfig(file="memory", read="tables")
HISTORIES = Histories.from_sequences([[1, 2, 5], [3, 4, 6], [7, 8]])


def table(name: str = "t", seed: int = 0) -> tuple[PreparedTable, Spelling]:
    rng = np.random.default_rng(seed)
    rows = unit_rows(np.repeat(rng.normal(size=(4, 12)), 2, 0) + 0.2 * rng.normal(size=(8, 12))).astype(np.float16)
    return PreparedTable(name, rows, WORDS), Spelling.of((n, Token(TokenKind.WORD, w)) for n, w in enumerate(WORDS))


def vectors(*, dimensions: int = 3, seed: int = 0, **settings: Any) -> NameVectors:
    given = {"file": "memory", "read": "tables", "components": "variance", "scale": 1.0, "first_direction": "keep"}
    config = NamesConfig.parse(given | settings)
    tables = [table("t"), table("u", 1)]
    found, spellings = [t for t, _ in tables], {t.name: s for t, s in tables}
    return name_vectors(item_texts(TEXTS), VOCABULARY, HISTORIES, config, dimensions, found, spellings, seed)


def cosines(found: NameVectors) -> np.ndarray:
    unit = unit_rows(found.vectors[1:])
    return unit @ unit.T


def test_names_of_one_meaning_are_near_and_of_one_text_the_same() -> None:
    found = vectors()
    near = cosines(found)
    assert near[0, 4] == pytest.approx(1, abs=1e-5)
    assert near[0, 1] > 0.8 > 0.3 > near[0, 2]
    assert near[2, 3] > 0.8
    assert found.vectors.any(1).tolist() == [False, *[True] * 6, False, False]
    assert (found.vectors[[0, 7, 8]] == 0).all()
    assert np.square(found.vectors[1:7]).mean() == pytest.approx(1, abs=1e-4)
    assert 0 < found.kept <= 1


def test_names_of_items_that_training_does_not_know_decide_nothing() -> None:
    (one, spelling), texts = table(), {key: value for key, value in TEXTS.items() if key != "elsewhere"}
    fewer, more = (
        name_vectors(item_texts(each), VOCABULARY, HISTORIES, READ_BY_TABLES, 3, [one], {"t": spelling}).vectors
        for each in (texts, TEXTS)
    )
    assert np.array_equal(fewer, more)


def test_coverage_says_what_was_found_and_what_was_not() -> None:
    coverage = vectors().coverage
    assert (coverage.items, coverage.named, coverage.nameless) == (8, 7, ("nameless",))
    assert (coverage.words, coverage.different, coverage.shared) == (13, 9, 3)
    (first, _) = coverage.tables
    assert (first.whole, first.pieces, first.missing, first.not_spelled) == (12, 0, 1, ("qqqq",))
    assert coverage.lines() == [
        "names of names (name): 7 of 8 items have one; without one: nameless; 13 words, 9 different, 3 of them in "
        "several names",
        "t: 92% of the words are one token, 8% not known (qqqq)",
        "u: 92% of the words are one token, 8% not known (qqqq)",
    ]
    assert coverage.to_json()["tables"][0]["not_spelled"] == ("qqqq",)
    assert coverage.doubt is None


def test_names_that_are_no_words_are_doubted() -> None:
    one, _ = table()
    letters = Spelling.of((n, Token(TokenKind.WORD, w)) for n, w in enumerate("abcdefgh"))
    texts = item_texts({"a": "abc def", "b": "hgf a"})
    found = name_vectors(texts, VOCABULARY, HISTORIES, READ_BY_TABLES, 2, [one], {"t": letters}).coverage
    assert found.doubt is None
    texts = item_texts({"a": "abc def", "b": "hgf"})
    found = name_vectors(texts, VOCABULARY, HISTORIES, READ_BY_TABLES, 2, [one], {"t": letters}).coverage
    assert found.doubt is not None
    assert "only 0% of the words in these names are words of a token table (others: abc, def, hgf)" in found.doubt


def test_permuted_names_are_those_of_other_items() -> None:
    real, control = vectors(), vectors(control="permuted")
    rows = [tuple(row) for row in np.round(real.vectors[1:], 4)]
    assert sorted(rows) == sorted(tuple(row) for row in np.round(control.vectors[1:], 4))
    assert not np.array_equal(real.vectors, control.vectors)
    assert np.array_equal(control.vectors, vectors(control="permuted").vectors)
    assert not np.array_equal(control.vectors, vectors(control="permuted", seed=1).vectors)
    assert not control.vectors[7].any()  # who has no name gets none


def test_words_have_no_meaning_without_tables() -> None:
    found = vectors(read="words", dimensions=8)
    near = cosines(found)
    assert near[0, 4] == pytest.approx(1, abs=1e-4)
    assert near[0, 1] < 0.3
    assert found.coverage.tables == ()
    assert found.vectors[8].any()  # its word is a word here


def test_new_items_lie_where_known_ones_of_the_same_words_do() -> None:
    config = NamesConfig(file="memory", read="words", new_items=True, components="variance", scale=1.0)
    texts = item_texts({**TEXTS, "unsaid": "word", "again": "Shoe red", "half": "navy word"})
    new = name_vectors(texts, VOCABULARY, HISTORIES, config, 8).new
    assert new is not None
    assert set(new.item_ids) == {"elsewhere", "again", "half"}  # no word of the other is a word of training
    placed = dict(zip(new.item_ids, new.new, strict=True))
    np.testing.assert_allclose(placed["again"], new.known[0], atol=1e-5)
    assert placed["half"] @ new.known[3] > 0.5 * np.square(new.known[3]).sum()


@pytest.mark.parametrize("components", ["agreement", "variance"])
def test_names_that_all_say_the_same_tell_no_new_item_apart(components: str) -> None:
    config = NamesConfig.parse({"file": "memory", "read": "words", "new_items": True, "components": components})
    texts = item_texts({**dict.fromkeys(IDS, "red shoe"), "new": "shoe hat"})
    with pytest.raises(DataError, match="all names say the same, so they tell no new item apart"):
        name_vectors(texts, VOCABULARY, HISTORIES, config, 3)
    plain = name_vectors(texts, VOCABULARY, HISTORIES, config.model_copy(update={"new_items": False}), 3)
    assert not plain.vectors.any()


def test_the_scale_follows_how_often_an_item_occurs() -> None:
    assert item_scales(NamesConfig(scale=0.3), np.array([0, 1, 100])) == pytest.approx(0.3)
    config = NamesConfig(scale=0.3, scale_half=10)
    np.testing.assert_allclose(item_scales(config, np.array([0, 10, 90])), [0.3, 0.15, 0.03], rtol=1e-6)
    even, scaled = vectors(), vectors(scale=2.0, scale_half=9)
    np.testing.assert_allclose(scaled.vectors[1], even.vectors[1], rtol=1e-5)
    np.testing.assert_allclose(scaled.vectors[2], even.vectors[2] * 1.8, rtol=1e-5)


def test_names_that_no_table_spells() -> None:
    one, spelling = table()
    with pytest.raises(DataError, match="no token table can spell a word of these names"):
        name_vectors(item_texts({"a": "zz"}), VOCABULARY, HISTORIES, READ_BY_TABLES, 2, [one], {"t": spelling})


@pytest.mark.parametrize("read", ["words", "tables"])
def test_names_without_a_word(read: str) -> None:
    one, spelling = table()
    config = NamesConfig.parse({"file": "memory", "read": read})
    texts = item_texts({"a": "<br>", "b": "!!!", "elsewhere": "red shoe"})
    with pytest.raises(DataError, match="no name of an item of the log has a letter or a digit"):
        name_vectors(texts, VOCABULARY, HISTORIES, config, 2, [one], {"t": spelling})


@pytest.mark.parametrize("components", ["agreement", "variance"])
def test_a_name_is_the_sum_of_its_tokens_places(components: str) -> None:
    found = vectors(components=components)
    assert found.space is not None
    tables = [table("t")[0], table("u", 1)[0]]
    places = sum(one.vectors.astype(np.float64) @ found.space.maps[one.name] + found.space.offset(one.name)
                 for one in tables)  # fmt: skip
    both = (places[WORDS.index("navy")] + places[WORDS.index("cap")]) / 2  # words of one name each
    np.testing.assert_allclose(found.vectors[4], both, atol=1e-4)
