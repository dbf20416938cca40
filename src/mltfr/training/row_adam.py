"""Adam that moves only the rows of a large table that a step touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class RowAdam(torch.optim.Adam):
    """Adam in which every row of a parameter with a sparse gradient keeps a clock of its own.

    A row that a step does not touch rests: its value, its moments and its count of steps stay as they are. So each
    row moves as Adam would move it if the steps that leave it out did not exist, and its first step is as long as
    Adam's first step (with one clock for all rows, as in `torch.optim.SparseAdam`, it would be 3.2 times as long).
    Plain Adam instead keeps moving a row by its old moments for some steps after it was last touched.

    Parameters with a dense gradient are updated by torch's own Adam. There is no weight decay.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        if closure is not None:
            with torch.enable_grad():
                closure()
        sparse: list[tuple[Tensor, dict[str, Any], Tensor]] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    sparse.append((parameter, group, parameter.grad))
                    parameter.grad = None                                # not Adam's business
        super().step()
        for parameter, group, gradient in sparse:
            parameter.grad = gradient
            self._update_rows(parameter, gradient.coalesce(), group)

    @torch.no_grad()
    def _update_rows(self, table: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:  # [R, D], sparse [R, D]
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros(len(table), device=table.device)         # [R], a clock for every row
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
        beta1, beta2 = group["betas"]
        rows, values = gradient.indices()[0], gradient.values()                  # [U], [U, D]
        steps = state["step"][rows].add_(1).unsqueeze(1)                    # [U, 1]
        mean = state["exp_avg"][rows].lerp_(values, 1 - beta1)                   # [U, D]
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(values, values, value=1 - beta2)
        state["step"][rows] = steps.squeeze(1)
        state["exp_avg"][rows] = mean
        state["exp_avg_sq"][rows] = square
        denominator = (square / (1 - beta2**steps)).sqrt_().add_(group["eps"])
        table.index_add_(0, rows, mean.div_(1 - beta1**steps).div_(denominator), alpha=-float(group["lr"]))


@torch.no_grad()
def clip_rows(parameters: Iterable[nn.Parameter], largest: float) -> None:
    """Scale all gradients so that their norm over all parameters is at most `largest`.

    As `torch.nn.utils.clip_grad_norm_`, for parameters of which some have a sparse gradient; its repeated rows are
    summed first, so that it counts as the dense gradient that it stands for.
    """
    numbers: list[Tensor] = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            numbers.append(parameter.grad.values())                     # a view: scaled in place below
        elif parameter.grad is not None:
            numbers.append(parameter.grad)
    norm = torch.stack([torch.linalg.vector_norm(number) for number in numbers]).norm()
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    for number in numbers:
        number.mul_(factor)
