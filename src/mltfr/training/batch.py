"""The data of one training step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

LENGTH_MULTIPLE, TARGET_SHARES = 8, 8
"""Bucket sizes: lengths are padded to a multiple of 8, numbers of targets to eighths of the batch's positions."""


@dataclass(frozen=True)
class Batch:
    """One step's data.

    Attributes:
        items: int64 `[B, L]`, right-aligned codes.
        targets: int64 `[B, T]`, the target of each of the last `T <= L` positions, 0 for none.
        views: int64 `[B, L']` each, further views of the sequences for the training objective.
        target_index: int64 `[P]`, positions with a target in the flattened targets, ascending, and in a batch that
            is padded to a bucket some others behind them; None until computed.
        target_weight: float `[P]`, 1 at a position of `target_index` with a target, else 0; None if all have one.
        teacher: what a teacher thinks probable at the P positions with a target, see `Teacher.at`; None for none.
    """

    items: Tensor
    targets: Tensor
    views: tuple[Tensor, ...] = ()
    target_index: Tensor | None = None
    target_weight: Tensor | None = None
    teacher: tuple[Tensor, Tensor] | None = None

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of the batch that are there, in the order of its attributes."""
        optional = (self.target_index, self.target_weight)
        return [self.items, self.targets, *self.views, *(tensor for tensor in optional if tensor is not None)]

    def padded_to_bucket(self, max_length: int) -> Batch:
        """Return the batch with more padding and more positions without a target, so that few shapes occur.

        The length becomes a multiple of 8, as far as `max_length` allows, so does the number of positions that may
        have a target, unless it is one, and the number of those indexed a multiple of an eighth of all of these.
        """
        length = -(-self.items.shape[1] // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
        length = min(length, max(max_length, self.items.shape[1]))
        items = _left_padded(self.items, length)
        width = self.targets.shape[1]
        if width > 1:
            width = min(length, -(-width // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
        targets = _left_padded(self.targets, width)
        flat = targets.flatten()                                                     # [B * T]
        share = -(-len(flat) // TARGET_SHARES)
        index, others = index_targets(targets), (flat == 0).nonzero().squeeze(1)
        missing = min(-(-len(index) // share) * share, len(flat)) - len(index)
        index = torch.cat([index, others[:missing]])                                 # [P]
        weight = (flat[index] > 0).float()                                           # [P]
        return replace(self, items=items, targets=targets, target_index=index, target_weight=weight)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, with its targets indexed, which avoids a device synchronisation later."""
        index = index_targets(self.targets) if self.target_index is None else self.target_index
        return Batch(
            _moved(self.items, device),
            _moved(self.targets, device),
            tuple(_moved(view, device) for view in self.views),
            _moved(index, device),
            None if self.target_weight is None else _moved(self.target_weight, device),
            None if self.teacher is None else (_moved(self.teacher[0], device), _moved(self.teacher[1], device)),
        )


def index_targets(targets: Tensor) -> Tensor:  # [B, T] -> [P]
    """Return the positions with a target in the flattened targets: int64, ascending."""
    return targets.flatten().nonzero().squeeze(1)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":  # copies from pageable memory synchronise with the device
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _left_padded(codes: Tensor, length: int) -> Tensor:  # [B, L] -> [B, length]
    return pad(codes, (length - codes.shape[1], 0))
