"""Vocabularies that lie, are huge or full of gaps are refused with the true reason."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import TokenTableError
from mltfr.tokens.sources import source_for
from mltfr.tokens.vocabulary import read_vocabulary_file
from support.token_files import write_safetensors

TOKENS = tuple(f"word{n}" for n in range(20))
VALUES = np.arange(1, 81, dtype=np.float32).reshape(20, 4)
DEEP = b"[" * 100_000


VOCABULARIES = {
    "deep": (DEEP.decode(), "damaged: not JSON"),
    "deep in a tokenizer": ('{"model": {"vocab": ' + DEEP.decode(), "damaged: not JSON"),
    "long integers": ('{"a": ' + "9" * 10_000 + "}", "damaged: not JSON"),
    "two tokens at one row": ('{"a": 0, "b": 0}', "tokens 'a' and 'b' are both given row 0"),
    "a row below zero": ('{"a": 0, "b": -1}', "token 'b' is given row -1"),
    "a row far beyond": ('{"a": 0, "b": 1000000000}', "token 'b' is given row 1000000000"),
    "a row that is a number with a point": ('{"a": 0, "b": 1.0}', "not a row: 1.0"),
    "a row that is true": ('{"a": 0, "b": true}', "not a row: True"),
    "a token twice": ('["a", "b", "a"]', "token 'a' has two rows, 0 and 2"),
    "numbers": ("[1, 2]", "not a token: 1"),
    "a text": ('"abc"', "holds no vocabulary"),
    "null": ("null", "holds no vocabulary"),
    "a vocabulary that is null": ('{"model": {"vocab": null}}', "holds no vocabulary"),
    "a model that is a list": ('{"model": []}', "holds no vocabulary"),
    "added tokens that are a number": ('{"model": {"vocab": {"a": 0}}, "added_tokens": 5}', "holds no vocabulary"),
    "added tokens that are texts": ('{"model": {"vocab": {"a": 0}}, "added_tokens": ["x"]}', "holds no vocabulary"),
    "an added token far beyond": (
        '{"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 99999999999, "content": "x"}]}', "row 99999999999"
    ),
    "pairs that are triples": ('{"model": {"vocab": [["a", 1, 2]]}}', "holds no vocabulary"),
}


@pytest.mark.parametrize("case", VOCABULARIES)
def test_vocabularies_that_lie_are_one_line(tmp_path: Path, case: str) -> None:
    text, message = VOCABULARIES[case]
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(TokenTableError) as caught:
        read_vocabulary_file(tmp_path / "tokenizer.json")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_vocabulary_that_is_huge_or_no_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "vocab.json").open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(TokenTableError, match="more than 100,000,000 bytes"):
        read_vocabulary_file(tmp_path / "vocab.json")
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(TokenTableError, match="it is no file"):
        read_vocabulary_file(tmp_path / "pipe.txt")
    (tmp_path / "v.txt").write_text("a\nb\na\n")
    with pytest.raises(TokenTableError, match="token 'a' has two rows, 0 and 2"):
        read_vocabulary_file(tmp_path / "v.txt")


def test_a_vocabulary_full_of_gaps_is_refused(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "model.safetensors", {"embedding.weight": VALUES})
    rows = {token: row for row, token in enumerate(TOKENS)}
    (tmp_path / "vocab.json").write_text(json.dumps({token: row for token, row in rows.items() if row % 2}))
    with (
        pytest.raises(TokenTableError, match="10 of the vocabulary's 20 rows have no token"),
        source_for(str(path)).open(),
    ):
        pass
    del rows["word3"], rows["word5"]
    (tmp_path / "vocab.json").write_text(json.dumps(rows))
    with source_for(str(path)).open() as table:
        assert table.strings.tokens[:6] == ("word0", "word1", "word2", "", "word4", "")


@pytest.mark.parametrize(("name", "text"), [
    ("vocab.txt", "the\ncat\n"), ("vocab.json", '{"the": 0, "cat": 1}'), ("vocabulary.json", '["the", "cat"]'),
])  # fmt: skip
def test_a_byte_order_mark_is_of_no_token(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert read_vocabulary_file(tmp_path / name).tokens == ("the", "cat")
