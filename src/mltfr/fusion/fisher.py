"""Fisher information of the experts, and the consensus that it weighs.

Source: MLTFR (arXiv 2604.18200), and Matena and Raffel, Merging Models with Fisher-Weighted Averaging
(arXiv 2111.09832), equation 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mltfr.kernels import plain_twins

ABSOLUTE_EPSILON = 1e-12
RELATIVE_EPSILON = 1e-6


class _Call(nn.Module):
    """A loss as a module over `module`, so that `functional_call` can replace its parameters."""

    def __init__(self, module: nn.Module, loss: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module = module
        self.loss = loss

    def forward(self, *batch: Any) -> Tensor:
        return self.loss(*batch)


def estimate_fisher(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    loss: Callable[..., Tensor],
    batches: Iterable[Sequence[Tensor]],
    chunk_size: int = 32,
) -> dict[str, Tensor]:
    """Return the per-example empirical Fisher: the mean over examples of the squared gradient of their loss.

    The caller decides about dropout: put the model into evaluation mode first.

    Args:
        module: holds the parameters; `loss` must use this very object.
        parameters: those whose Fisher information is estimated, named as in `module.named_parameters()`.
        loss: called with the tensors of one example, each with a batch dimension of 1; returns a scalar.
            It runs under `torch.func.vmap`: no shape in it may depend on values.
        batches: tensors with the examples along dimension 0.
        chunk_size: examples whose gradients are held at once.

    Raises:
        ValueError: `batches` holds no example.
    """
    call = _Call(module, loss)
    values = {f"module.{name}": tensor.detach() for name, tensor in parameters.items()}

    def example_loss(values: dict[str, Tensor], *example: Tensor) -> Tensor:
        return functional_call(call, values, tuple(tensor.unsqueeze(0) for tensor in example))

    losses_of = vmap(example_loss, randomness="different")  # negatives are drawn
    total = {name: torch.zeros_like(tensor) for name, tensor in values.items()}
    count = 0
    for batch in batches:
        for chunk in zip(*(torch.split(tensor, chunk_size) for tensor in batch), strict=True):
            # each example has the parameters to itself, so that the gradient of the sum is one for each;
            # torch.func.grad would do the same, and load torch's compiler: 76 MB
            size = len(chunk[0])
            own = {name: tensor.expand(size, *tensor.shape).requires_grad_() for name, tensor in values.items()}
            with torch.enable_grad(), plain_twins():
                losses = losses_of(own, *chunk)                              # [C]
                gradients = torch.autograd.grad(losses.sum(), list(own.values()), materialize_grads=True)
            for name, gradient in zip(own, gradients, strict=True):          # [C, ...]
                total[name] += gradient.square().sum(0)
            count += size
    return _mean(total, count)


def estimate_fisher_of_batches(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    loss: Callable[..., Tensor],
    batches: Iterable[Sequence[Any]],
) -> dict[str, Tensor]:
    """Return the mean over batches of the squared gradient of the batch's loss, as the published code does.

    Args:
        module: holds the parameters; `loss` must use this very object.
        parameters: those whose Fisher information is estimated, named as in `module.named_parameters()`.
        loss: called with the members of one batch; returns a scalar.
        batches: what `loss` is called with.

    Raises:
        ValueError: `batches` is empty.
    """
    call = _Call(module, loss)
    values = {f"module.{name}": tensor.detach().requires_grad_() for name, tensor in parameters.items()}
    total = {name: torch.zeros_like(tensor) for name, tensor in values.items()}
    count = 0
    for batch in batches:
        result = functional_call(call, values, tuple(batch))
        gradients = torch.autograd.grad(result, list(values.values()), materialize_grads=True)
        for name, gradient in zip(values, gradients, strict=True):
            total[name] += gradient.square()
        count += 1
    return _mean(total, count)


def merge_by_fisher(
    parameters: Sequence[Mapping[str, Tensor]],
    fishers: Sequence[Mapping[str, Tensor]],
    mode: Literal["normalised", "plain"] = "normalised",
) -> dict[str, Tensor]:
    """Return the Fisher-weighted average of experts of one shape.

    Args:
        parameters: one mapping from name to tensor for every expert, all with the same names and shapes.
        fishers: the Fisher information of the same.
        mode: "normalised" divides each expert's values by their mean, tensor by tensor, so that an expert
            with large gradients does not dominate; where all values vanish the result is the plain mean.
            "plain" is the published `sum_i F_i theta_i / (sum_i F_i + 1e-12)`.
    """
    merged = {}
    for name, like in parameters[0].items():
        theta = torch.stack([expert[name].detach().double() for expert in parameters])  # [G, ...]
        weight = torch.stack([fisher[name].detach().double() for fisher in fishers])    # [G, ...]
        if mode == "normalised":
            mean = weight.flatten(1).mean(1).view(-1, *[1] * like.dim())                # [G, 1...]
            weight = weight / torch.where(mean > 0, mean, 1.0) + RELATIVE_EPSILON
            result = (weight * theta).sum(0) / weight.sum(0)
        else:
            result = (weight * theta).sum(0) / (weight.sum(0) + ABSOLUTE_EPSILON)
        merged[name] = result.to(like.dtype)
    return merged


def _mean(total: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    if count == 0:
        raise ValueError("Fisher information needs at least one example, got none.")
    return {name.removeprefix("module."): tensor / count for name, tensor in total.items()}
