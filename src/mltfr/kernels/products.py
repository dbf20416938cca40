"""Large float32 matrix products on a CPU, by the faster of torch's two libraries where both are as exact.

torch multiplies float32 matrices with MKL, which leaves AVX-512 unused on processors of other makers; oneDNN, the
other library in it, is then 2 to 3 times as fast. torch asks oneDNN only if it may round the factors to bfloat16,
which oneDNN makes use of where the processor has a unit for it (AMX). So the leave is given only where a product
shows that nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from mltfr.kernels import use_kernels

ROWS = 64
"""Rows of large products come in multiples of this: oneDNN compiles a program for every shape, in about 4 ms."""
WIDE = 128
"""Inner width from which on products of any shape gain more than compiling them costs (also 340 MB: oneDNN keeps 1,024
programs)."""
_EXACT = 1e-5
"""Largest relative error of a float32 product of a few hundred terms; one of bfloat16 factors has about 1e-3."""
_CPU = torch.device("cpu")
_lock = Lock()
_inside, _before = 0, "none"


@contextmanager
def large_products(rows: int) -> Iterator[None]:
    """Let torch's products of float32 matrices with so many rows on a CPU be as fast as they can be.

    Nothing changes where `rows` is not a multiple of `ROWS`, on processors without AVX-512, and where factors would be
    rounded.
    """
    global _inside, _before
    if not use_kernels(_CPU) or rows % ROWS or not _helps():
        yield
        return
    setting = _setting()
    with _lock:
        if _inside == 0:
            _before, setting.fp32_precision = setting.fp32_precision, "bf16"
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                setting.fp32_precision = _before


def products_of_width(width: int) -> AbstractContextManager[None]:
    """Do the same for products of all shapes in a model of so many components, if it is wide enough to gain."""
    return large_products(ROWS) if width >= WIDE else nullcontext()


def padded_rows(tensor: Tensor) -> Tensor:  # [P, ...] -> [P', ...]
    """Return a tensor with zeros behind its last row, up to a multiple of `ROWS`, where that makes products faster."""
    missing = -len(tensor) % ROWS
    if not missing or tensor.device.type != "cpu" or not _helps():
        return tensor
    return torch.cat([tensor, tensor.new_zeros(missing, *tensor.shape[1:])])


def _setting() -> Any:
    """Return what holds the precision of oneDNN's products; None where there is no oneDNN, and before torch 2.9."""
    onednn: Any = torch.backends.mkldnn
    setting = getattr(onednn, "matmul", None)
    return setting if onednn.is_available() and hasattr(setting, "fp32_precision") else None


@cache
def _helps() -> bool:
    """Return whether oneDNN uses what MKL may not, and rounds nothing."""
    setting, has_unit = _setting(), getattr(torch.cpu, "_is_amx_tile_supported", bool)
    if setting is None or "AVX512" not in torch.backends.cpu.get_cpu_capability() or has_unit():
        return False
    left = torch.arange(4 * ROWS * ROWS, dtype=torch.float64).sin().float().view(4 * ROWS, ROWS)  # all 24 bits matter
    right = left[: 2 * ROWS].flip(0)
    expected = left.double() @ right.double().T
    with _lock:  # of two threads that ask at once, the later one must not take the other's setting for the former one
        before, setting.fp32_precision = setting.fp32_precision, "bf16"
        try:
            error = (left @ right.T - expected).abs().max() / expected.abs().max()
        finally:
            setting.fp32_precision = before
    return bool(error < _EXACT)
