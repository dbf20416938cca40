"""The words of names, and which item has which."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mltfr.names import words as words_file
from mltfr.names.words import known, words_of

TEXTS = pl.Series(["Toy Story (1995)", None, "The toy's story_line, TOY", "???", "東京タワー Café"])


@pytest.mark.parametrize("chunk", [1, 2, 1 << 16])
def test_words_of_names(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(words_file, "CHUNK", chunk)
    found = words_of(TEXTS)
    assert set(found.words) == {"toy", "story", "1995", "the", "line", "東", "京", "タ", "ワ", "ー", "café"}
    assert found.named.tolist() == [True, False, True, False, True]
    assert dict(zip(found.words, found.items.tolist(), strict=True))["toy"] == 2
    assert {found.words[place] for place in found.has[[2]].indices} == {"the", "toy", "story", "line"}
    assert set(found.has.data.tolist()) == {1.0}


def test_a_word_of_many_items_weighs_less() -> None:
    found = words_of(pl.Series(["red shoe", "red hat", "red", None]))
    weights = found.weighted(idf=True).toarray()
    expected = {"red": np.log(4 / 3), "shoe": np.log(4), "hat": np.log(4)}
    np.testing.assert_allclose(weights[0], [expected[word] * (word != "hat") for word in found.words], rtol=1e-6)
    assert weights[2].max() > 0
    assert found.weighted(idf=False) is found.has


def test_words_of_other_items_as_far_as_they_are_known() -> None:
    mine, others = words_of(pl.Series(["red shoe", "blue"])), words_of(pl.Series(["blue hat", "hat", None, "shoe red"]))
    found = known(mine.words, others.words, others.has).toarray()
    assert found.shape == (4, 3)
    rows = [{word for word, weight in zip(mine.words, row, strict=True) if weight} for row in found]
    assert rows == [{"blue"}, set(), set(), {"red", "shoe"}]


def test_no_names() -> None:
    found = words_of(pl.Series([None, "!"], dtype=pl.String))
    assert found.words == ()
    assert not found.named.any()
