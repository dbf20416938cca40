"""The gradient of a batch: at once, or part by part, in one process or several, with the same result.

A batch is cut into `training.shards` parts. Each has random numbers of its own, so that dropout, noise, masks and
negatives do not depend on who computes it; the parts' summed losses add up to the batch's. One process computes
its parts one after the other, which also bounds memory; several add up their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mltfr.training.samples import Batch, Indices
from mltfr.training.team import Team

LARGE = 1 << 20
"""Elements from which a gradient is summed over the processes on its own, without a copy."""


@dataclass(frozen=True)
class Gradient:
    """What the gradient's computation has shown besides.

    Attributes:
        loss: the batch's mean loss, a scalar.
        stop: whether any process was asked to stop.
        due: whether any process wants a checkpoint.
    """

    loss: Tensor
    stop: bool
    due: bool


class Parts:
    """Computes gradients part by part.

    Args:
        team: the processes.
        parameters: those that train.
        make_batch: returns the samples of a part as a batch on the CPU; the generator draws what is random in it.
        loss: returns the mean loss of a batch on the device, over its positions with a target.
    """

    def __init__(
        self,
        team: Team,
        parameters: Iterable[nn.Parameter],
        make_batch: Callable[[Indices, np.random.Generator], Batch],
        loss: Callable[[Batch], Tensor],
    ) -> None:
        self.team, self.make_batch, self.loss = team, make_batch, loss
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]

    def gradient(self, indices: Indices, seeds: Sequence[int], stop: bool, due: bool) -> Gradient:
        """Leave the gradient of the batch's mean loss in the parameters, the same in every process.

        Args:
            indices: the batch's samples, int64 `[B]`.
            seeds: of the batch; a part adds its number.
            stop: whether this process was asked to stop.
            due: whether this process wants a checkpoint.
        """
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.team.device)
        positions = 0
        for number in self.team.mine:
            part = indices[number :: self.team.shards]  # neighbours have about the same length: the work is even
            if not len(part):
                continue
            random = np.random.default_rng([*seeds, number])
            torch.manual_seed(int(random.integers(2**63)))
            batch = self.make_batch(part, random)
            wanted = int((batch.targets > 0).sum())
            loss = self.loss(batch.to(self.team.device)) * wanted
            self.team.fabric.backward(loss)
            loss_sum += loss.detach()
            positions += wanted
        said = [loss_sum, *(torch.tensor(float(v), device=self.team.device) for v in (positions, stop, due))]
        told = sum_gradients(self.team, self.parameters, torch.stack([value.double() for value in said]))
        total, count = told[0], told[1]
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.div_(count.to(parameter.grad.dtype))
        return Gradient(total / count, bool(told[2] > 0), bool(told[3] > 0))


@torch.no_grad()
def sum_gradients(team: Team, parameters: Sequence[nn.Parameter], extra: Tensor) -> Tensor:
    """Add up the processes' gradients in place, and return the sum of `extra`, float64 `[E]`.

    Small gradients travel together; a large one alone; a large sparse one as its rows. A parameter without a
    gradient in one process, because its parts are empty, takes part with zeros.
    """
    if team.size == 1:
        return extra
    grads = [parameter.grad for parameter in parameters]
    dense = torch.tensor([grad is not None and not grad.is_sparse for grad in grads], device=team.device)
    sparse = torch.tensor([grad is not None and grad.is_sparse for grad in grads], device=team.device)
    told = team.sum(torch.cat([extra, dense.double(), sparse.double()]))
    has_dense, has_sparse = (told[len(extra) :].view(2, -1) > 0).tolist()
    small = []
    for number, parameter in enumerate(parameters):
        if has_sparse[number]:
            parameter.grad = _sum_rows(team, parameter)
        elif has_dense[number]:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if parameter.numel() < LARGE:
                small.append(parameter.grad)
            else:
                parameter.grad.copy_(team.sum(parameter.grad))
    if small:
        flat = team.sum(torch.cat([grad.flatten() for grad in small]))
        for grad, part in zip(small, torch.split(flat, [grad.numel() for grad in small]), strict=True):
            grad.copy_(part.view_as(grad))
    return told[: len(extra)]


def _sum_rows(team: Team, parameter: nn.Parameter) -> Tensor:
    """Return the sum of gradients that hold some rows of `[I, D]`, as one that holds those of all processes."""
    if parameter.grad is None:
        rows = torch.empty(0, dtype=torch.int64, device=parameter.device)
        values = parameter.new_empty(0, *parameter.shape[1:])
    else:
        grad = parameter.grad.coalesce()
        rows, values = grad.indices()[0], grad.values()
    rows, values = torch.cat(team.gather(rows)), torch.cat(team.gather(values))
    return torch.sparse_coo_tensor(rows.unsqueeze(0), values, parameter.shape).coalesce()
