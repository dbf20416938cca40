"""torch's Adam and AdamW, without importing torch's compiler: see docs/decisions/training-step.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

Method = TypeVar("Method", bound=Callable[..., Any])


def _undecorated(method: Method) -> Method:
    """Return a method of torch as it is written, without what keeps the compiler away from it."""
    return getattr(method, "__wrapped__", method)


class _Uncompiled(Optimizer):
    """Does not import `torch._dynamo`, which torch's decorators do at the first call: 1.6 s and 76 MB.

    An optimiser of this kind cannot be part of what `torch.compile` compiles.
    """

    add_param_group = _undecorated(Optimizer.add_param_group)
    state_dict = _undecorated(Optimizer.state_dict)
    load_state_dict = _undecorated(Optimizer.load_state_dict)
    zero_grad = _undecorated(Optimizer.zero_grad)


class Adam(_Uncompiled, torch.optim.Adam):
    """Adam (Kingma & Ba 2015), to the bit `torch.optim.Adam`."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters that have a gradient."""
        _undecorated(torch.optim.Adam.step)(self)


class AdamW(_Uncompiled, torch.optim.AdamW):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), to the bit `torch.optim.AdamW`."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters that have a gradient."""
        _undecorated(torch.optim.AdamW.step)(self)
