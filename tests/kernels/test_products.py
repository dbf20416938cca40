"""Large products are as exact as others, and leave torch's settings as they were."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mltfr.kernels import products
from mltfr.kernels.products import ROWS, WIDE, large_products, padded_rows, products_of_width
from mltfr.losses.cross_entropy import CrossEntropy, CrossEntropyConfig


def precision() -> str | None:
    setting = products._setting()
    return None if setting is None else setting.fp32_precision


@pytest.mark.parametrize("rows", [ROWS, 3 * ROWS, ROWS + 1])
@pytest.mark.parametrize("inner", [16, 64, 256])
def test_large_products_are_float32_products(rows: int, inner: int) -> None:
    torch.manual_seed(0)
    left, right = torch.randn(rows, inner), torch.randn(inner, 1000)
    with large_products(rows):
        product = left @ right
    wanted = left.double() @ right.double()
    assert (product - wanted).abs().max() / wanted.abs().max() < 1e-6


def test_settings_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    if precision() is None:
        pytest.skip("this torch has no such setting")
    monkeypatch.setattr(products, "_helps", lambda: True)
    before = precision()
    with large_products(ROWS):
        assert precision() == "bf16"
        with large_products(ROWS):
            pass
        assert precision() == "bf16"
    assert precision() == before
    with pytest.raises(KeyError), large_products(ROWS):
        raise KeyError
    assert precision() == before
    with large_products(ROWS + 1):  # a shape of its own would have to be compiled
        assert precision() == before


def test_a_wide_model_gains_with_every_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    if precision() is None:
        pytest.skip("this torch has no such setting")
    before = precision()
    for helps, width, wanted in ((True, WIDE, "bf16"), (True, WIDE - 1, before), (False, WIDE, before)):
        monkeypatch.setattr(products, "_helps", lambda helps=helps: helps)
        with products_of_width(width):
            assert precision() == wanted
    assert precision() == before


def test_settings_are_as_before_whichever_thread_ends_last(monkeypatch: pytest.MonkeyPatch) -> None:
    if precision() is None:
        pytest.skip("this torch has no such setting")
    monkeypatch.setattr(products, "_helps", lambda: True)
    before = precision()

    def work(seed: int) -> None:
        for _ in range(20):
            with large_products(ROWS):
                np.random.default_rng(seed).standard_normal(100).sum()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(32)))
    assert precision() == before


def test_a_processor_that_rounds_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bfloat16 factors would be used, products stay with MKL."""
    if precision() is None:
        pytest.skip("this torch has no such setting")

    def rounding(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.mm(left.bfloat16().float(), right.bfloat16().float())

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    products._helps.cache_clear()
    try:
        before = precision()
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "__matmul__", rounding_of_float32(rounding))
            assert not products._helps()
        assert precision() == before
    finally:
        products._helps.cache_clear()


def rounding_of_float32(product):  # type: ignore[no-untyped-def]
    plain = torch.Tensor.__matmul__

    def matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return product(left, right) if left.dtype == torch.float32 else plain(left, right)

    return matmul


@pytest.mark.parametrize("helps", [False, True])
def test_padded_rows(monkeypatch: pytest.MonkeyPatch, helps: bool) -> None:
    monkeypatch.setattr(products, "_helps", lambda: helps)
    matrix = torch.randn(ROWS + 3, 4)
    padded = padded_rows(matrix)
    assert len(padded) == (2 * ROWS if helps else ROWS + 3)
    assert torch.equal(padded[: ROWS + 3], matrix)
    assert not padded[ROWS + 3 :].any()
    whole = torch.randn(2 * ROWS, 4)
    assert padded_rows(whole) is whole


@pytest.mark.parametrize("positions", [ROWS, ROWS + 1, 3 * ROWS - 1])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_cross_entropy_of_padded_rows(
    monkeypatch: pytest.MonkeyPatch, positions: int, smoothing: float, scale: float
) -> None:
    """The same loss and gradients, whether or not the last chunk is filled up."""
    torch.manual_seed(0)
    hidden = (scale * torch.randn(positions, 16)).requires_grad_()
    items = torch.randn(301, 16, requires_grad=True)
    targets = torch.randint(1, 301, (positions,))
    loss = CrossEntropy(CrossEntropyConfig(label_smoothing=smoothing), torch.ones(301, dtype=torch.int64))
    found = []
    setting = SimpleNamespace(fp32_precision="none")
    monkeypatch.setattr(products, "_setting", lambda: setting)  # torch's own may round the factors on this machine
    for helps in (False, True):
        monkeypatch.setattr(products, "_helps", lambda helps=helps: helps)
        value = loss(hidden, targets, items)
        found.append((value.detach(), *torch.autograd.grad(value, (hidden, items))))
    for plain, padded in zip(*found, strict=True):
        torch.testing.assert_close(padded, plain, rtol=1e-4, atol=1e-6)
