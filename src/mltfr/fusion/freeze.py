"""Freezing: what must never train is no parameter."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def freeze(module: M) -> M:
    """Turn every parameter of `module` into a buffer of the same name, in place, and return the module.

    It stays in `state_dict` and moves with the model, but no optimiser, weight decay or gradient reaches it.
    """
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach().clone())
    return module
