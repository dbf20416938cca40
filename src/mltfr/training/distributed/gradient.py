"""The gradient of a batch, shard by shard, in one process or several, with the same result.

A batch is cut into `training.shards` shards. Each has random numbers of its own, so that dropout, noise, masks and
negatives do not depend on which process computes it; the shards' summed losses add up to the batch's. One process
computes its shards one after the other, which also bounds memory; several add up their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mltfr.objectives.base import Indices
from mltfr.training.batch import Batch
from mltfr.training.device import sum_dtype
from mltfr.training.distributed.process_group import ProcessGroup

LARGE = 1 << 20
"""Elements from which a gradient is all-reduced on its own, without a copy."""


class ShardedGradient:
    """Wraps the gradient of a batch so that it is computed shard by shard.

    Args:
        group: the processes.
        parameters: those that train.
        make_batch: returns the samples of a shard as a batch on the CPU; the generator draws what is random in it.
        gradient: adds the gradient of a weight times a batch's mean loss, and returns the mean loss.
    """

    def __init__(
        self,
        group: ProcessGroup,
        parameters: Iterable[nn.Parameter],
        make_batch: Callable[[Indices, np.random.Generator], Batch],
        gradient: Callable[[Batch, int], Tensor],
    ) -> None:
        self.group, self.make_batch, self.gradient = group, make_batch, gradient
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]

    def __call__(self, indices: Indices, seeds: Sequence[int]) -> Tensor:
        """Leave the gradient of a batch's mean loss in the parameters of every process, and return the mean loss.

        Args:
            indices: the batch's samples, int64 `[B]`.
            seeds: of the batch; a shard adds its number.
        """
        device = self.group.device
        loss_sum = torch.zeros((), dtype=sum_dtype(device), device=device)
        count = 0
        for number in self.group.local_shards:
            shard = indices[number :: self.group.shards]  # neighbours have about the same length: the work is even
            if not len(shard):
                continue
            random = np.random.default_rng([*seeds, number])
            torch.manual_seed(int(random.integers(2**63)))
            batch = self.make_batch(shard, random)
            targets = int((batch.targets > 0).sum())
            loss_sum += self.gradient(batch.to(device), targets) * targets
            count += targets
        sums = torch.stack([loss_sum, loss_sum.new_tensor(count)])
        loss_sum, total = all_reduce_gradients(self.group, self.parameters, sums)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.div_(total.to(parameter.grad.dtype))
        return loss_sum / total


@torch.no_grad()
def all_reduce_gradients(group: ProcessGroup, parameters: Sequence[nn.Parameter], extra: Tensor) -> Tensor:
    """Add up the processes' gradients in place, and return the sum of `extra`, float64 `[E]`.

    Small gradients travel together; a large one alone; a large sparse one as its rows. A parameter without a
    gradient in one process, because its shards are empty, takes part with zeros.
    """
    if group.size == 1:
        return extra
    grads = [parameter.grad for parameter in parameters]
    dense = torch.tensor([grad is not None and not grad.is_sparse for grad in grads], device=group.device)
    sparse = torch.tensor([grad is not None and grad.is_sparse for grad in grads], device=group.device)
    sums = group.all_reduce(torch.cat([extra, dense.to(extra.dtype), sparse.to(extra.dtype)]))
    has_dense, has_sparse = (sums[len(extra) :].view(2, -1) > 0).tolist()
    small = []
    for number, parameter in enumerate(parameters):
        if has_sparse[number]:
            parameter.grad = _sum_rows(group, parameter)
        elif has_dense[number]:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if parameter.numel() < LARGE:
                small.append(parameter.grad)
            else:
                parameter.grad.copy_(group.all_reduce(parameter.grad))
    if small:
        flat = group.all_reduce(torch.cat([grad.flatten() for grad in small]))
        for grad, piece in zip(small, torch.split(flat, [grad.numel() for grad in small]), strict=True):
            grad.copy_(piece.view_as(grad))
    return sums[: len(extra)]


def _sum_rows(group: ProcessGroup, parameter: nn.Parameter) -> Tensor:
    """Return the sum of gradients that hold some rows of `[I, D]`, as one that holds those of all processes."""
    if parameter.grad is None:
        rows = torch.empty(0, dtype=torch.int64, device=parameter.device)
        values = parameter.new_empty(0, *parameter.shape[1:])
    else:
        grad = parameter.grad.coalesce()
        rows, values = grad.indices()[0], grad.values()
    rows, values = torch.cat(group.all_gather(rows)), torch.cat(group.all_gather(values))
    return torch.sparse_coo_tensor(rows.unsqueeze(0), values, parameter.shape).coalesce()
