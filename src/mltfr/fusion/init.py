"""Initial values: the same for every table, whatever the others are; and frozen ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` for a while and leave the global random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


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
