"""Preparing a table: what is dropped, kept and measured; controls; alignment."""

from __future__ import annotations

import numpy as np
import pytest

from mltfr.errors import TokenTableError
from mltfr.tokens import TokenTable
from mltfr.tokens.align import fit_alignment, procrustes, retrieval_accuracy, shared_words
from mltfr.tokens.controls import control_vectors, gaussian, shuffled
from mltfr.tokens.matrix import mean_and_covariance, unit_rows
from mltfr.tokens.reduce import reduce_table


def table(rows: int = 300, width: int = 12, seed: int = 0, name: str = "t") -> TokenTable:
    generator = np.random.default_rng(seed)
    spread = np.geomspace(3, 0.1, width)
    values = generator.standard_normal((rows, width)) * spread @ generator.standard_normal((width, width)) + 5
    vocabulary = ("<s>", "<0x0A>", "▁", *(f"▁word{n}" for n in range(rows - 3)))
    return TokenTable(name, values.astype(np.float32), vocabulary)


def test_rows_have_unit_norm_and_float16() -> None:
    prepared = reduce_table(table(), 6)
    assert prepared.vectors.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(prepared.vectors.astype(float), axis=1), 1, atol=2e-3)


def test_what_is_no_text_is_dropped_and_counted() -> None:
    prepared = reduce_table(table(), 6)
    assert prepared.shape == (297, 6)
    assert prepared.words[0] == "word0"
    assert prepared.report["tokens_dropped"] == {"blank": 1, "byte": 1, "control": 1}


def test_dropped_rows_leave_no_trace() -> None:
    original, spoiled = table(), table()
    spoiled.embeddings[:3] = 1e4
    np.testing.assert_array_equal(reduce_table(original, 6).vectors, reduce_table(spoiled, 6).vectors)


def test_the_kept_variance_and_the_directions_are_those_of_the_svd() -> None:
    raw = table()
    centred = raw.embeddings[3:].astype(np.float64)
    centred -= centred.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    prepared = reduce_table(raw, 4)
    assert prepared.report["kept_variance"] == pytest.approx((values[:4] ** 2).sum() / (values**2).sum(), rel=1e-5)
    expected = unit_rows(left[:, :4] * values[:4])
    cosines = prepared.vectors.astype(float) @ prepared.vectors.astype(float).T
    np.testing.assert_allclose(cosines, expected @ expected.T, atol=5e-3)


def test_a_narrow_table_is_padded_and_keeps_everything() -> None:
    prepared = reduce_table(table(width=5), 8)
    assert prepared.shape == (297, 8)
    assert prepared.report["kept_variance"] == pytest.approx(1)
    assert not prepared.vectors[:, 5:].any()
    centred = table(width=5).embeddings[3:].astype(float)
    full = unit_rows(centred - centred.mean(axis=0))
    cosines = prepared.vectors.astype(float) @ prepared.vectors.astype(float).T
    np.testing.assert_allclose(cosines, full @ full.T, atol=5e-3)


def test_a_table_without_text_is_refused() -> None:
    empty = TokenTable("empty", np.ones((3, 4), np.float32), ("<s>", "</s>", "<pad>"))
    with pytest.raises(TokenTableError, match="'empty': 0 of its tokens are text"):
        reduce_table(empty, 2)


def test_moments_are_numpys_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    values, rows = table().embeddings, np.arange(0, 300, 3)
    monkeypatch.setattr("mltfr.tokens.sources.base.CHUNK_BYTES", 4 * 12 * 7)
    mean, covariance = mean_and_covariance(values, rows)
    np.testing.assert_allclose(mean, values[rows].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(covariance, np.cov(values[rows].T, bias=True), rtol=1e-3, atol=1e-4)


def rotation(width: int, seed: int = 3) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]


def test_procrustes_recovers_a_planted_rotation() -> None:
    source = np.random.default_rng(0).standard_normal((200, 8))
    planted = rotation(8)
    found = procrustes(source, source @ planted)
    np.testing.assert_allclose(found, planted, atol=1e-9)
    np.testing.assert_allclose(found @ found.T, np.eye(8), atol=1e-9)


def test_quality_is_measured_on_words_that_were_held_out() -> None:
    generator = np.random.default_rng(0)
    source = generator.standard_normal((400, 16))
    good = fit_alignment(source, source @ rotation(16) + 0.1 * generator.standard_normal((400, 16)))
    noise = fit_alignment(generator.standard_normal((60, 32)), generator.standard_normal((60, 32)))
    assert good is not None
    assert noise is not None
    assert good.accuracy > 0.95
    assert noise.accuracy < 0.2           # 30 words fit a rotation of 32 dimensions, which carries nothing over
    assert (good.shared_words, good.held_out_words) == (400, 200)


def test_too_few_shared_words_are_not_aligned() -> None:
    assert fit_alignment(np.ones((19, 4)), np.ones((19, 4))) is None


def test_retrieval_accuracy_counts_the_same_word_only() -> None:
    eye = np.eye(4)
    assert retrieval_accuracy(eye, eye) == 1
    assert retrieval_accuracy(eye, eye[[1, 0, 2, 3]]) == 0.5


def test_shared_words_need_a_letter() -> None:
    first, second = {"tea": 0, "12": 1, "!": 2, "#0": 3, "soap": 4}, {"tea": 3, "12": 0, "!": 1, "#0": 2}
    assert shared_words(first, second) == ["tea"]


def test_the_random_control_keeps_mean_and_covariance() -> None:
    values = table(rows=60_000, width=6).embeddings
    drawn = gaussian(values, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), values.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(values.T), atol=0.05 * np.abs(np.cov(values.T)).max())
    assert np.abs([np.corrcoef(drawn[:, c], values[:, c])[0, 1] for c in range(6)]).max() < 0.02


def test_the_shuffled_control_keeps_columns_and_breaks_rows() -> None:
    values = table(rows=2000, width=6).embeddings
    mixed = shuffled(values, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(mixed, axis=0), np.sort(values, axis=0))
    between = np.corrcoef(mixed.T)[~np.eye(6, dtype=bool)]
    assert np.abs(between).max() < 0.1
    assert not (mixed == values).all(axis=1).any()


def test_every_table_has_a_control_of_its_own() -> None:
    values = table().embeddings
    first = control_vectors(values, "random", 0, "a")
    np.testing.assert_array_equal(first, control_vectors(values, "random", 0, "a"))
    assert not np.array_equal(first, control_vectors(values, "random", 0, "b"))
    assert not np.array_equal(first, control_vectors(values, "random", 1, "a"))
