"""Paired tests: calibrated where there is nothing, sharp where there is something."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mltfr.errors import DataError
from mltfr.evaluation.significance import holm, paired_test


def test_calibrated_without_a_difference() -> None:
    random = np.random.default_rng(0)
    tests = [paired_test(*random.random((2, 60)), draws=200) for _ in range(300)]
    rejected_t = np.mean([test.t_test < 0.05 for test in tests])
    rejected_wilcoxon = np.mean([test.wilcoxon < 0.05 for test in tests])
    outside = np.mean([not test.low <= 0 <= test.high for test in tests])
    for share in (rejected_t, rejected_wilcoxon, outside):
        assert 0.01 < share < 0.10


def test_finds_a_difference_and_its_sign() -> None:
    random = np.random.default_rng(0)
    base = random.random(500)
    better = base + 0.05 + 0.1 * random.normal(size=500)
    test = paired_test(better, base)
    assert 0.03 < test.low < test.difference < test.high < 0.07
    assert test.t_test < 1e-6
    assert test.wilcoxon < 1e-6
    assert test.t_test == pytest.approx(stats.ttest_rel(better, base).pvalue)
    assert paired_test(base, better).difference == pytest.approx(-test.difference)


def test_equal_and_constant_differences() -> None:
    same = paired_test(np.ones(5), np.ones(5))
    assert (same.difference, same.low, same.high, same.t_test, same.wilcoxon) == (0, 0, 0, 1, 1)
    assert paired_test(np.ones(5), np.zeros(5)).t_test == 0


def test_needs_the_same_users() -> None:
    with pytest.raises(DataError, match=r"needs the same users twice, at least 2; got \(3,\) and \(2,\)"):
        paired_test(np.ones(3), np.ones(2))


def test_holm_by_hand() -> None:
    assert holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
