"""Initial values: the same for every table, whatever the others are; and frozen ones."""

from __future__ import annotations

import hashlib
from functools import cache
from types import FunctionType
from typing import Any, TypeVar

import torch
from torch import nn
from torch._ops import OpOverloadPacket
from torch.overrides import TorchFunctionMode

from mltfr.errors import ConfigError

M = TypeVar("M", bound=nn.Module)


class Seeded(TorchFunctionMode):
    """Draw initial values from `seed` inside, and leave the global random state alone, which all threads share.

    The numbers are those that torch would draw after `manual_seed(seed)`. Entered again, it draws on.

    Raises:
        ConfigError: at a function that draws and takes no generator, such as dropout: the seed does not reach it.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        draws, takes_generator = _kind(func)
        if takes_generator and kwargs.get("generator") is None:  # else it is that of a block within this one
            kwargs = {**kwargs, "generator": self.generator}
        if not draws or takes_generator:
            return func(*args, **kwargs)
        before = torch.get_rng_state()
        found = func(*args, **kwargs)
        if not torch.equal(before, torch.get_rng_state()):
            raise ConfigError(
                f"'{func.__name__}' has drawn random numbers where initial values are made, and takes no generator, so "
                "that the seed does not reach it. Draw by torch.nn.init, or by Tensor.normal_ or Tensor.uniform_."
            )
        return found

    def copy(self) -> Seeded:
        """Return another one that draws what this one would draw next."""
        copied = Seeded(0)
        copied.generator.set_state(self.generator.get_state())
        return copied


@cache
def _kind(func: Any) -> tuple[bool, bool]:
    """Return whether a function of torch may draw random numbers, and whether it takes a generator."""
    if isinstance(func, FunctionType) and "generator" in func.__code__.co_varnames[: func.__code__.co_argcount]:
        return True, True  # those of torch.nn.init
    packet: Any = getattr(torch.ops.aten, getattr(func, "__name__", ""), None)
    is_operation = isinstance(packet, OpOverloadPacket)  # `__eq__` and the like are Python's
    forms = [getattr(packet, name) for name in (packet.overloads() if is_operation else ())]
    draws = any(torch.Tag.nondeterministic_seeded in form.tags for form in forms)
    takes = any(argument.name == "generator" for form in forms for argument in form._schema.arguments)
    return draws, takes and not isinstance(func, FunctionType)


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
    if linear.bias is not None:
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
