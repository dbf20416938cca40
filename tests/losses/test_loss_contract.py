"""Every loss keeps the promises of the seam."""

from __future__ import annotations

from typing import Any, ClassVar

from mltfr.testing.loss import LossContract


class TestCrossEntropy(LossContract):
    name = "cross_entropy"
    settings: ClassVar[dict[str, Any]] = {"chunk": 4}


class TestSmoothedCrossEntropy(LossContract):
    name = "cross_entropy"
    settings: ClassVar[dict[str, Any]] = {"chunk": 64, "label_smoothing": 0.2}


class TestSampledSoftmax(LossContract):
    name = "sampled_softmax"
    settings: ClassVar[dict[str, Any]] = {"negatives": 8}


class TestPopularitySampledSoftmax(LossContract):
    name = "sampled_softmax"
    settings: ClassVar[dict[str, Any]] = {"negatives": 8, "sampling": "popularity", "log_q": False}


class TestSoftmaxOfOwnNegatives(LossContract):
    name = "sampled_softmax"
    settings: ClassVar[dict[str, Any]] = {"negatives": 8, "shared": False}


class TestSoftmaxAsMostCodesHaveIt(LossContract):
    name = "sampled_softmax"
    settings: ClassVar[dict[str, Any]] = {"negatives": 8, "shared": False, "exclude_target": False, "log_q": False}


class TestBCE(LossContract):
    name = "bce"


class TestGBCE(LossContract):
    name = "gbce"
    settings: ClassVar[dict[str, Any]] = {"negatives": 6}


class TestBPR(LossContract):
    name = "bpr"


class TestBPRWithNegatives(LossContract):
    name = "bpr"
    settings: ClassVar[dict[str, Any]] = {"negatives": 5}
