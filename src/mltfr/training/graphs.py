"""Training steps on a CUDA device, recorded once for each shape of batch and replayed.

A step of a small model is hundreds to thousands of small operations, and a processor needs longer to launch them than
the device to do them. A recorded step is launched as one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from mltfr.errors import ConfigError
from mltfr.training.samples import Batch
from mltfr.training.step import TrainingStep


@dataclass(frozen=True)
class Recorded:
    """A step of one shape.

    Attributes:
        graph: what is replayed.
        batch: where it reads.
        loss: where it leaves the mean loss.
    """

    graph: torch.cuda.CUDAGraph
    batch: Batch
    loss: Tensor


class Graphs:
    """Does steps by replay, as soon as their shape has occurred before.

    Args:
        move: does a step with a batch on the device, without waiting for it, and returns the mean loss. What it
            reads and writes besides the batch stays where it is: weights, optimiser state, buffers.
        stage: returns what steers the step besides tensors.
        device: a CUDA device.

    Raises:
        ConfigError: a step does what cannot be recorded.
    """

    def __init__(self, move: Callable[[Batch], Tensor], stage: Callable[[], Hashable], device: torch.device) -> None:
        self.move, self.stage, self.device = move, stage, device
        self.recorded: dict[Hashable, Recorded | None] = {}
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, batch: Batch) -> Tensor:
        """Do a step with a batch on the CPU, and return its mean loss, which the next step overwrites."""
        key = (self.stage(), *(tensor.shape for tensor in _tensors(batch)))
        if key not in self.recorded:  # the first time sets up what the libraries keep, which no recording may do
            self.recorded[key] = None
            return self.move(batch.to(self.device))
        found = self.recorded[key]
        if found is None:
            found = self.recorded[key] = self._record(batch)
        for own, given in zip(_tensors(found.batch), _tensors(batch), strict=True):
            own.copy_(given.pin_memory(), non_blocking=True)
        found.graph.replay()
        return found.loss

    def _record(self, batch: Batch) -> Recorded:
        batch = batch.to(self.device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                loss = self.move(batch)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # of a part from another package that asks the device for a value, say
            raise ConfigError(
                f"The training step cannot be recorded as a CUDA graph ({' '.join(str(error).split())[:120]}). "
                "Set training.cuda_graphs = false."
            ) from error
        return Recorded(graph, batch, loss)


def can_record(step: TrainingStep, device: torch.device) -> bool:
    """Return whether steps can be recorded: on a CUDA device, where no shape depends on what is in a batch."""
    fusion = step.model.fusion
    suits = not step.sparse and step.objective is None and (fusion is None or fusion.supports_cuda_graph)
    return device.type == "cuda" and suits


def _tensors(batch: Batch) -> list[Tensor]:
    return [batch.items, batch.targets, *(each for each in (batch.wanted, batch.counted) if each is not None)]
