"""Initial values: the same for every table, whatever the others are; and frozen ones."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

M = TypeVar("M", bound=nn.Module)
_DRAWING = {
    *(Tensor.normal_, Tensor.uniform_, Tensor.random_, Tensor.bernoulli_, Tensor.exponential_),
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial),
    *(nn.init.normal_, nn.init.uniform_, nn.init.trunc_normal_, nn.init.orthogonal_, nn.init.sparse_),
    *(nn.init.kaiming_normal_, nn.init.kaiming_uniform_, nn.init.xavier_normal_, nn.init.xavier_uniform_),
}
"""What draws, and takes a generator."""


class seeded(TorchFunctionMode):
    """Draw initial values from `seed` inside, and leave the global random state alone, which all threads share.

    The numbers are those that torch would draw after `manual_seed(seed)`. Entered again, it draws on.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWING and kwargs.get("generator") is None:  # else it is that of a block within this one
            kwargs = {**kwargs, "generator": self.generator}
        return func(*args, **kwargs)

    def copy(self) -> seeded:
        """Return another one that draws what this one would draw next."""
        copied = seeded(0)
        copied.generator.set_state(self.generator.get_state())
        return copied


def own_seed(seed: int, name: str) -> int:
    """Return a seed of one table's own: it depends on the table's name, not on the tables beside it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little")


def variance_preserving(linear: nn.Linear) -> nn.Linear:
    """Initialise a Linear in place so that it keeps the variance of its input; zero bias."""
    if not linear.weight.is_meta:  # there, where nothing is drawn, torch would load its compiler
        nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def zero(linear: nn.Linear) -> nn.Linear:
    """Initialise a Linear in place so that it returns zero."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def freeze(module: M) -> M:
    """Turn every parameter of `module` into a buffer of the same name, in place, and return the module.

    It stays in `state_dict` and moves with the model, but no optimiser, weight decay or gradient reaches it.
    """
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach().clone())
    return module
