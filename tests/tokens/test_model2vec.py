"""The rows of model2vec's tables are those of their tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mltfr.errors import TokenTableError
from mltfr.tokens.load import import_table
from mltfr.tokens.store import TokenStore
from support.token_files import write_safetensors, write_tokenizer

TOKENS = tuple(f"word{n}" for n in range(20))
VALUES = np.arange(1, 81, dtype=np.float32).reshape(20, 4)


def model2vec(path: Path, mapping: object, weights: object = None, rows: int = 8) -> Path:
    tensors = {"embeddings": VALUES[:rows]}
    if mapping is not None:
        tensors["mapping"] = np.asarray(mapping)
    if weights is not None:
        tensors["weights"] = np.asarray(weights)
    return write_safetensors(path, tensors)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_model2vec_tables_are_those_of_their_tokens(tmp_path: Path, mapped: bool, weighted: bool) -> None:
    numbers = np.random.default_rng(0)
    mapping = numbers.integers(0, 20, 20) if mapped else None
    weights = numbers.random(20) if weighted else None
    path = model2vec(tmp_path / "model.safetensors", mapping, weights, rows=20)
    write_tokenizer(tmp_path / "tokenizer.json", TOKENS)
    expected = VALUES if mapping is None else VALUES[mapping]
    expected = expected if weights is None else (expected * weights[:, None]).astype(np.float32)
    table = import_table("mine", str(path), TokenStore(tmp_path / "store"))
    assert_array_equal(table.embeddings, expected)
    assert table.vocabulary == TOKENS


@pytest.mark.parametrize(
    ("mapping", "weights", "message"),
    [
        ([0] * 19 + [8], None, "gives token 19 row 8, and the table has 8 rows"),
        ([0] * 19 + [-1], None, "gives token 19 row -1"),
        ([0.0] * 20, None, "'mapping' is F64 20; it should be a vector of I64"),
        ([[0] * 20], None, "'mapping' is I64 1x20"),
        ([0] * 10, None, "has 10 rows and the vocabulary 20 tokens"),
        ([0] * 20, [1.0] * 19, "'weights' has 19 values for 20 tokens"),
        ([0] * 20, [1] * 20, "'weights' is I64 20; it should be a vector of F64"),
        ([0] * 20, [np.nan] * 20, "row 0 holds a value that is no finite number"),
        ([0] * 20, [0.0] * 20, "every value of the table is zero"),
        (None, [1.0] * 20, "'weights' has 20 values for 8 tokens"),
        (np.zeros(0, np.int64), None, "'mapping' is empty"),
    ],
)
def test_model2vec_tables_that_do_not_belong_together(
    tmp_path: Path, mapping: object, weights: object, message: str
) -> None:
    path = model2vec(tmp_path / "model.safetensors", mapping, weights)
    write_tokenizer(tmp_path / "tokenizer.json", TOKENS)
    with pytest.raises(TokenTableError) as caught:
        import_table("mine", str(path), TokenStore(tmp_path / "store"))
    assert message in str(caught.value)
