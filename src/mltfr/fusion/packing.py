"""Packing: the positions of a batch that are corrected, one after the other, without its padding."""

from __future__ import annotations

import torch
from torch import Tensor

from mltfr.kernels import use_kernels


def corrected_positions(x: Tensor, mask: Tensor, is_causal: bool) -> Tensor:  # [B, L, D], [B, L] -> [P]
    """Return where `delta` is computed, as ascending indices into the flattened batch.

    On a CPU not at padding. On other devices everywhere: counting would wait for the device, and a CUDA graph needs
    a shape that does not depend on values; so does `torch.func`.

    Args:
        x: the stack's input, zero at padding.
        mask: True at observed items.
        is_causal: whether the backbone has no mask tokens, which are corrected though nothing is observed there.
    """
    if not use_kernels(x.device):
        return torch.arange(mask.numel(), device=x.device)
    corrected = mask if is_causal else mask | (x != 0).any(-1)
    return corrected.flatten().nonzero().squeeze(1)


def pack(x: Tensor, positions: Tensor) -> Tensor:  # [B, L, ...], [P] -> [P, ...]
    """Return what stands at the positions."""
    flat = x.flatten(0, 1)
    return flat if positions.shape[0] == flat.shape[0] else flat.index_select(0, positions)


def unpack(values: Tensor, positions: Tensor, shape: torch.Size) -> Tensor:  # [P, ...], [P] -> [B, L, ...]
    """Return a batch of `shape` `[B, L]` with the values at the positions, and zeros elsewhere."""
    if positions.shape[0] == shape[0] * shape[1]:
        return values.view(*shape, *values.shape[1:])
    zeros = values.new_zeros(shape.numel(), *values.shape[1:])
    return zeros.index_copy(0, positions, values).view(*shape, *values.shape[1:])
