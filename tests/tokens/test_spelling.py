"""How a vocabulary of every style spells a word: whole, else in its longest pieces, whatever the case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import TokenTableError
from mltfr.tokens.config import TokensConfig
from mltfr.tokens.load import load_tables
from mltfr.tokens.spelling import Spelling, load_spellings
from mltfr.tokens.store import TokenStore
from mltfr.tokens.table import TokenTable
from mltfr.tokens.words import read_vocabulary

STYLES = {
    "bytes": ("Ġchoc", "olate", "ĠChocolate", "late", "Ġbar", "Ġlate", "<|endoftext|>", "Ġ", "cafÃ©", "Ġcafe"),
    "pieces": ("▁choc", "olate", "▁Chocolate", "late", "▁bar", "▁late", "<s>", "▁", "café", "▁cafe"),
    "continuations": ("choc", "##olate", "Chocolate", "##late", "bar", "late", "[CLS]", "[unused1]", "##café", "cafe"),
}


def spelling(style: str) -> tuple[Spelling, tuple[str, ...]]:
    vocabulary = STYLES[style]
    return Spelling.of(enumerate(read_vocabulary(vocabulary, frozenset({6})))), vocabulary


@pytest.mark.parametrize("style", STYLES)
def test_whole_words_come_before_pieces_and_pieces_stand_where_they_may(style: str) -> None:
    found, _ = spelling(style)
    assert found.rows("CHOCOLATE") == [2]
    assert found.rows("late") == [5]
    assert found.rows("barlate") == [4, 3]
    assert found.rows("Chocobar") == []
    assert found.rows("chocolatelate") == [2, 3]
    assert found.rows("s") == []
    assert found.rows("") == []


@pytest.mark.parametrize("style", STYLES)
def test_a_word_that_is_not_known_is_tried_without_accents(style: str) -> None:
    found, _ = spelling(style)
    assert found.rows("bàr") == [4]
    assert found.rows("Café") == [8]  # which it knows as it is


def test_rows_are_those_of_the_prepared_table(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    vocabulary = ("<s>", "▁red", "▁", "shoe", "▁hat")
    store.put(TokenTable("t", np.eye(5, 8, dtype=np.float32), vocabulary, special=frozenset({0})))
    for prepare, row in (("default", 2), ("raw", 4)):
        config = TokensConfig(tables=("t",), prepare=prepare, width=3)
        (table,) = load_tables(config, store)
        found = load_spellings(config, store)["t"]
        assert found.rows("hat") == [row]
        assert [table.words[place] for place in found.rows("redshoe")] == ["red", "shoe"]


def test_a_table_without_words_cannot_read_names(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    store.put(TokenTable("t", np.eye(2, dtype=np.float32), ("<s>", "</s>")))
    with pytest.raises(TokenTableError, match="'t': its vocabulary has no words"):
        load_spellings(TokensConfig(tables=("t",)), store)


class _Counted(dict[str, int]):
    """Rows that count how often they are asked."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)


def test_the_time_of_a_word_is_linear_in_its_letters() -> None:
    rows = _Counted({"ab": 0, "a": 1, "b": 2})
    assert Spelling(rows, rows).rows("ab" * 500) == [0] * 500
    assert rows.asked <= 1000
