"""Kernels: the results of plain torch, faster on a CPU. Each has a plain twin that it is tested against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_plain_only: ContextVar[bool] = ContextVar("plain_only", default=False)


@contextmanager
def plain_twins() -> Iterator[None]:
    """Compute with the plain twins inside: `torch.func` transforms them, and not the kernels."""
    token = _plain_only.set(True)
    try:
        yield
    finally:
        _plain_only.reset(token)


def use_kernels(device: torch.device) -> bool:
    """Return whether tensors on `device` are computed by kernels: on a CPU, outside `plain_twins()`."""
    return device.type == "cpu" and not _plain_only.get()
