"""The space of names, against the same steps written with whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from mltfr.names import space as space_file
from mltfr.names import word_space as word_file
from mltfr.names.space import TablePart, name_space
from mltfr.names.word_space import word_space

ITEMS = 40


def parts() -> list[TablePart]:
    rng = np.random.default_rng(0)
    made = []
    for name, tokens, width in (("a", 30, 6), ("b", 20, 4)):
        weights = rng.random((ITEMS, tokens)) * (rng.random((ITEMS, tokens)) < 0.2)
        weights[3] = 0  # nobody's name
        weights[4] *= name == "b"
        total = weights.sum(1, keepdims=True)
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        rows = rng.normal(size=(tokens, width)) * np.arange(1, width + 1) + 0.5
        made.append(TablePart(name, csr_array(weights.astype(np.float32)), rows.astype(np.float32)))
    return made


def by_hand(remove_first: bool) -> np.ndarray:
    """Return the names of all tables side by side, `[I, 10]`, before the principal components."""
    blocks = []
    for part in parts():
        means = part.weights.toarray().astype(float) @ part.vectors
        there = part.there
        if remove_first:  # SIF, algorithm 1: of the vectors as they are
            first = np.linalg.svd(means[there], full_matrices=False)[2][0]
            means = means - np.outer(means @ first, first)
        centred = (means - means[there].mean(0)) * there[:, None]
        blocks.append(centred / np.sqrt(np.square(centred).sum()))
    return np.hstack(blocks)


@pytest.mark.parametrize("remove_first", [True, False])
@pytest.mark.parametrize("chunk", [7, 8192])
def test_it_is_sif_and_then_pca(monkeypatch: pytest.MonkeyPatch, remove_first: bool, chunk: int) -> None:
    monkeypatch.setattr(space_file, "CHUNK", chunk)
    space = name_space(parts(), 5, remove_first)
    found = space.vectors(parts())
    left, values, _ = np.linalg.svd(by_hand(remove_first), full_matrices=False)
    expected = (left * values)[:, :5]
    expected *= np.sign((expected * found).sum(0)) / np.sqrt(np.square(expected).sum() / 39 / 5)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.square(found).sum() / 39 / 5 == pytest.approx(1, abs=1e-4)
    assert (found[3] == 0).all()
    assert space.kept == pytest.approx(np.square(values[:5]).sum() / np.square(values).sum(), abs=1e-4)


def test_whitened_components_have_one_variance_and_none_where_nothing_varies() -> None:
    found = name_space(parts(), 12, whiten=True).vectors(parts())
    there = np.arange(ITEMS) != 3
    covariance = found[there].T @ found[there] / 39
    np.testing.assert_allclose(covariance, np.diag([1.0] * 8 + [0.0] * 4), atol=2e-3)  # two directions are removed


def test_the_order_of_the_tables_and_a_second_call_change_nothing() -> None:
    one, other = parts(), parts()[::-1]
    found = name_space(one, 5).vectors(one)
    assert np.array_equal(found, name_space(one, 5).vectors(one))
    np.testing.assert_allclose(name_space(other, 5).vectors(other), found, atol=1e-4)


def test_a_token_lies_where_a_name_of_it_alone_lies() -> None:
    one = parts()[:1]
    space = name_space(one, 3)
    alone = TablePart("a", csr_array(np.eye(30, dtype=np.float32)), one[0].vectors)
    np.testing.assert_allclose(space.vectors([alone]), (one[0].vectors - space.means["a"]) @ space.maps["a"], atol=1e-5)


@pytest.mark.parametrize(("items", "words"), [(60, 12), (12, 60), (60, 50)])
def test_words_are_read_by_an_svd(monkeypatch: pytest.MonkeyPatch, items: int, words: int) -> None:
    monkeypatch.setattr(word_file, "DENSE", 20)
    rng = np.random.default_rng(1)
    weights = rng.random((items, words)) * (rng.random((items, words)) < 0.3)
    weights[0] = 0
    monkeypatch.setattr(word_file, "CHUNK", 7)
    matrix = csr_array(weights.astype(np.float32))
    space = word_space(matrix, 4)
    found = space.vectors(matrix)
    rows = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-30)
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    expected = (left * values)[:, :4]
    there = weights.any(1)
    assert space.kept == pytest.approx(np.square(expected).sum() / there.sum(), rel=1e-4)
    expected = (expected - expected[there].mean(0)) * there[:, None]
    expected /= np.sqrt(np.square(expected[there]).mean())
    assert (found[0] == 0).all()
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=2e-3)
    assert np.array_equal(word_space(matrix, 4).vectors(matrix), found)
