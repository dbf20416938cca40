"""One device and the precision of its arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from mltfr.kernels.products import products_of_width

Kept = TypeVar("Kept", bound=torch.optim.Optimizer)


class Fabric:
    """What a loop on one device needs of Lightning's class of this name, with the same calls.

    Lightning's own brings torch's compiler and its distributed strategies with it: 1.7 s and 80 MB in every
    process, of which one device uses nothing.

    Args:
        device: where the model is put.
        precision: "32", or "bf16" for mixed precision: matrix products in bfloat16, weights in float32.
    """

    def __init__(self, device: torch.device, precision: Literal["32", "bf16"] = "32") -> None:
        self.device = device
        self.precision = precision
        self.width = 0
        """Inner width of the module's products, at most."""
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)

    def setup(self, module: nn.Module, optimizer: Kept) -> tuple[nn.Module, Kept]:
        """Return the module on the device, with its precision, and its optimiser."""
        self.width = max((min(each.shape) for each in module.parameters() if each.dim() == 2), default=0)
        return _Placed(module.to(self.device), self), optimizer

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        if self.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def products(self) -> AbstractContextManager[None]:
        """Return the context in which float32 products are fastest."""
        return products_of_width(self.width if self.device.type == "cpu" else 0)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients; bfloat16 has float32's range, so the loss is not scaled."""
        with self.products():
            torch.autograd.backward(loss)

    def clip_gradients(self, module: nn.Module, max_norm: float) -> None:
        """Scale a module's gradients down to `max_norm`, their Euclidean norm over all parameters, if it is larger."""
        nn.utils.clip_grad_norm_(module.parameters(), max_norm)


class _Placed(nn.Module):
    """A module whose forward pass runs in a fabric's precision."""

    def __init__(self, module: nn.Module, fabric: Fabric) -> None:
        super().__init__()
        self.module = module
        self.fabric = fabric

    def forward(self, *inputs: Tensor, **more: Tensor | None) -> Tensor:
        """Return the module's output in the default precision."""
        with self.fabric.autocast(), self.fabric.products():
            output: Tensor = self.module(*inputs, **more)
        return output.to(torch.get_default_dtype())
