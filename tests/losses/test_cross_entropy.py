"""The chunked cross-entropy against torch's, and its promise about memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mltfr.losses.cross_entropy import CrossEntropy, CrossEntropyConfig

ITEMS, HIDDEN, POSITIONS = 300, 8, 50
COUNTS = torch.ones(ITEMS + 1, dtype=torch.int64)


def batch(scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden = (scale * torch.randn(POSITIONS, HIDDEN)).requires_grad_()
    items = torch.randn(ITEMS + 1, HIDDEN, requires_grad=True)
    return hidden, torch.randint(1, ITEMS + 1, (POSITIONS,)), items


@pytest.mark.parametrize("chunk", [1, 7, 50, 64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 30.0])  # 30: beyond what exp can take without the shift
def test_equals_torch(chunk: int, smoothing: float, scale: float) -> None:
    hidden, targets, items = batch(scale)
    loss = CrossEntropy(CrossEntropyConfig(chunk=chunk, label_smoothing=smoothing), COUNTS)
    value = loss(hidden, targets, items)
    wanted = cross_entropy(hidden @ items[1:].T, targets - 1, label_smoothing=smoothing)
    torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6)
    for got, gradient in zip(
        torch.autograd.grad(value, (hidden, items)), torch.autograd.grad(wanted, (hidden, items)), strict=True
    ):
        torch.testing.assert_close(got, gradient, rtol=1e-4, atol=1e-6)


class LargestTensor(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation returned."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.largest = max([self.largest, *sizes])
        return result


def test_never_holds_more_than_a_chunk_of_logits() -> None:
    hidden, targets, items = batch()
    loss = CrossEntropy(CrossEntropyConfig(chunk=10), COUNTS)
    with LargestTensor() as fused:
        loss(hidden, targets, items).backward()
    with LargestTensor() as plain:
        loss.per_position(hidden, targets, items).mean().backward()
    assert fused.largest == 10 * ITEMS
    assert plain.largest == POSITIONS * ITEMS


def test_gradients_add_up_and_backward_may_run_twice() -> None:
    hidden, targets, items = batch()
    value = CrossEntropy(CrossEntropyConfig(), COUNTS)(hidden, targets, items)
    value.backward(retain_graph=True)
    assert items.grad is not None
    once = items.grad.clone()
    value.backward()
    torch.testing.assert_close(items.grad, 2 * once)


def test_a_frozen_input_gets_no_gradient() -> None:
    hidden, targets, items = batch()
    loss = CrossEntropy(CrossEntropyConfig(), COUNTS)
    both = torch.autograd.grad(loss(hidden, targets, items), (hidden, items))
    torch.testing.assert_close(torch.autograd.grad(loss(hidden, targets, items.detach()), hidden)[0], both[0])
    torch.testing.assert_close(torch.autograd.grad(loss(hidden.detach(), targets, items), items)[0], both[1])
    with torch.no_grad():
        torch.testing.assert_close(loss(hidden, targets, items), loss(hidden, targets, items))


def test_stays_in_float32_under_autocast() -> None:
    hidden, targets, items = batch()
    loss = CrossEntropy(CrossEntropyConfig(), COUNTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = hidden.bfloat16()
        value = loss(low, targets, items)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(low.float(), targets, items))
    assert torch.autograd.grad(value, low)[0].dtype == torch.bfloat16
