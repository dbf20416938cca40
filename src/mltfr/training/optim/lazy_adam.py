"""Lazy Adam: a step over a large embedding costs no more than the rows that it looks up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from mltfr.training.optim.adam import Adam

NEGLIGIBLE = 5.2e-8
"""What is left of a row's update when it no longer counts: with the usual betas, after 160 steps without a gradient."""
CHUNK = 1 << 16
"""Rows whose pending updates are applied together where all rows are."""


class LazyAdam(Adam):
    """Lazy Adam: pending updates of an embedding's row are applied when it is next looked up.

    Adam updates every row in every step, one without a gradient by what is left of its momentum. Here these updates
    are pending, and the `n` of a row are applied at once before it is looked up:
    `theta -= A m / (sqrt(v) + eps)`, `m *= beta1^n`, `v *= beta2^n`, with
    `A = sum_j lr_j sqrt(1 - beta2^j) / (1 - beta1^j) (beta1 / sqrt(beta2))^(j - last)` over those steps. What is
    looked up is therefore what Adam would have, but for rounding and for how epsilon weighs in the steps without a
    gradient.

    Parameters with a dense gradient are updated as by torch's own Adam. There is no weight decay.
    """

    table: nn.Parameter | None = None

    def track(self, embedding: nn.Embedding) -> None:
        """Apply pending updates of an embedding with sparse gradients whenever its rows are looked up."""
        self.table = cast("nn.Parameter", embedding.weight)
        self._handle = embedding.register_forward_pre_hook(lambda _, inputs: self.apply_pending(inputs[0].unique()))

    def detach(self) -> None:
        """Apply all pending updates, and stop tracking the embedding."""
        self.apply_all_pending()
        if self.table is not None:
            self._handle.remove()
            self.table = None

    @torch.no_grad()
    def apply_all_pending(self) -> None:
        """Apply the pending updates of every row."""
        if self.table is not None:
            for start in range(0, len(self.table), CHUNK):
                stop = min(start + CHUNK, len(self.table))
                self.apply_pending(torch.arange(start, stop, device=self.table.device))

    @torch.no_grad()
    def apply_pending(self, rows: Tensor) -> None:
        """Apply the pending updates of rows `[U]`, without repetitions: of their steps without a gradient."""
        if self.table is None or not (state := self.state.get(self.table)):
            return
        last = state["last"][rows]                                               # [U]
        missed = state["step"] - last                                            # [U]
        behind = missed > 0
        if not behind.any():
            return
        rows, last, missed = rows[behind], last[behind].long(), missed[behind].unsqueeze(1)
        group = self.param_groups[0]
        beta1, beta2 = group["betas"]
        epsilon = group["eps"] * (1 - beta2 ** float(state["step"])) ** 0.5
        mean, square = state["exp_avg"][rows], state["exp_avg_sq"][rows]         # [U, D]
        move = mean / square.sqrt().add_(epsilon)
        self.table.index_add_(0, rows, move.mul_(state["tail"][last].unsqueeze(1)), alpha=-1)
        state["exp_avg"][rows] = mean.mul_(beta1**missed)
        state["exp_avg_sq"][rows] = square.mul_(beta2**missed)
        state["last"][rows] = state["step"]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        if closure is not None:
            with torch.enable_grad():
                closure()
        table = self.table
        gradient = table.grad if table is not None else None
        if table is not None:
            table.grad = None                                                    # torch's step leaves it alone
        super().step()
        if table is not None and gradient is not None:
            table.grad = gradient
            self._update_rows(table, gradient.coalesce())

    @torch.no_grad()
    def _update_rows(self, table: Tensor, gradient: Tensor) -> None:             # [R, D], sparse [R, D]
        state, group = self.state[table], self.param_groups[0]
        if not state:
            state["step"] = torch.zeros((), device=table.device)
            state["last"] = torch.zeros(len(table), device=table.device)         # [R], last step that updated a row
            state["tail"] = torch.zeros(1, device=table.device)                  # [steps + 1], A by last step
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
        rows, values = gradient.indices()[0], gradient.values()                  # [U], [U, D]
        self.apply_pending(rows)
        state["step"] += 1
        step, (beta1, beta2), rate = int(state["step"]), group["betas"], float(group["lr"])
        mean = state["exp_avg"][rows].lerp_(values, 1 - beta1)                   # [U, D]
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(values, values, value=1 - beta2)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        state["last"][rows] = state["step"]
        correction = (1 - beta2**step) ** 0.5
        denominator = square.sqrt_().div_(correction).add_(group["eps"])
        table.index_add_(0, rows, mean.div(denominator), alpha=-rate / (1 - beta1**step))
        self._extend_tail(state, step, rate * correction / (1 - beta1**step), fading(beta1, beta2))

    def _extend_tail(self, state: dict[str, Any], step: int, weight: float, ratio: float) -> None:
        """Add this step to A of every step before it at which a row may have been updated last."""
        tail: Tensor = state["tail"]
        window = math.ceil(math.log(NEGLIGIBLE) / math.log(ratio)) if ratio else 0
        first = max(0, step - window)
        apart = step - torch.arange(first, step, device=tail.device, dtype=torch.float64)
        tail[first:step] += (weight * ratio**apart).to(tail.dtype)
        state["tail"] = torch.cat([tail, tail.new_zeros(1)])


def fading(beta1: float, beta2: float) -> float:
    """Return the size of a row's update without a gradient over that of the step before."""
    return beta1 / beta2**0.5 if beta1 else 0.0


def updates_fade(beta1: float, beta2: float) -> bool:
    """Return whether a row's updates without a gradient grow smaller, so that their sum over all steps is finite."""
    return beta1**2 < beta2 or not beta1


@torch.no_grad()
def clip_sparse_grad_norm_(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale all gradients so that their norm over all parameters is at most `max_norm`.

    As `torch.nn.utils.clip_grad_norm_`, for parameters of which some have a sparse gradient: its repeated rows are
    summed first, so that its norm is that of the equal dense gradient.
    """
    numbers: list[Tensor] = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            numbers.append(parameter.grad.values())                              # a view: scaled in place below
        elif parameter.grad is not None:
            numbers.append(parameter.grad)
    norm = torch.stack([torch.linalg.vector_norm(number) for number in numbers]).norm()
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for number in numbers:
        number.mul_(factor)
