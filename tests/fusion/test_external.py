"""Domain words: the contract, which rows they name, and what a saved state holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from mltfr.errors import ConfigError
from mltfr.fusion import FusionInputs
from mltfr.fusion.external import ExternalConfig, ExternalFusion
from mltfr.testing.fusion import FusionContract
from mltfr.testing.toy import HIDDEN, fusion_batch, random_table
from mltfr.tokens.neighbours import with_neighbours
from mltfr.tokens.table import PreparedTable
from mltfr.tokens.words import find_words


class TestExternal(FusionContract):
    name = "external"
    settings: ClassVar[dict[str, Any]] = {"words": ["word3", "word7 WORD11"], "neighbours": 2}


WORDS = ("hair", "Hair", "care", "sham", "poo", "sh", "a", "chocolate", "o", "p")


def table(words: tuple[str, ...] = WORDS, width: int = 4, name: str = "t") -> PreparedTable:
    return replace(random_table(name, len(words), width), words=words)


def test_words_are_found_whole_then_in_their_longest_pieces() -> None:
    found = find_words(table(), ["Hair care", "shampoo", "hair", "quartz", "  "])
    assert [WORDS[row] for row in found.rows] == ["hair", "care", "sham", "poo"]
    assert found.rows.tolist() == [0, 2, 3, 4]
    assert (found.whole, found.pieces, found.missing) == (("hair", "care"), ("shampoo",), ("quartz",))


def test_the_neighbours_are_those_of_a_loop() -> None:
    own = table(tuple(f"word{n}" for n in range(70)), 6)
    rows = np.array([4, 40, 69])
    wide = own.vectors.astype(np.float64)
    expected = set(rows.tolist())
    for row in rows:
        cosine = [wide[row] @ other / np.linalg.norm(wide[row]) / np.linalg.norm(other) for other in wide]
        nearest = sorted((other for other in range(70) if other != row), key=lambda other: -cosine[other])
        expected |= set(nearest[:5])
    assert with_neighbours(own, rows, 5).tolist() == sorted(expected)
    assert with_neighbours(own, rows, 0).tolist() == rows.tolist()
    assert with_neighbours(own, rows, 500).tolist() == list(range(70))


def build(tables: list[PreparedTable], **settings: object) -> ExternalFusion:
    config = ExternalConfig.parse({"words": ["hair care", "quartz"], "neighbours": 2, **settings})
    return ExternalFusion(config, FusionInputs(HIDDEN, True, tables, seed=1))


def test_the_source_rows_are_those_of_the_table_and_the_same_for_everybody() -> None:
    own = table()
    rows = build([own]).experts.of("t").rows
    expected = with_neighbours(own, np.array([0, 2]), 2)
    assert rows.ids.tolist() == expected.tolist()
    torch.testing.assert_close(rows.vectors, torch.from_numpy(own.vectors[expected].astype(np.float32)) * 2)


def test_what_was_found_is_reported() -> None:
    report = build([table()]).report()["words"]["t"]
    assert (report["whole_words"], report["words_in_pieces"], report["missing_words"]) == (2, 0, ["quartz"])
    fusion = build([table(), table(name="u")]).train()
    fusion(*fusion_batch())
    assert fusion.diagnostics()["router_share"] == {"t": pytest.approx(0.5), "u": pytest.approx(0.5)}


def test_a_table_without_any_of_the_words_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"None of the 3 words \(first: 'hair'\) is found in token table 'u'"):
        build([table(), table(("mm", "nn", "qq"), name="u")])


def test_no_words_is_an_error() -> None:
    for words in ((), (" ",)):
        with pytest.raises(ConfigError, match=r"words is empty\. Give one with --words FILE"):
            ExternalConfig.parse({"words": words})
