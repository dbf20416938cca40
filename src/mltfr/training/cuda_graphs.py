"""CUDA graphs of training steps: captured once for each shape of batch, then replayed.

A step of a small model is hundreds to thousands of small kernels, which the CPU takes longer to launch than the GPU to
run. A graph launches them at once: 6 to 13 times as fast for small models.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from mltfr.errors import ConfigError
from mltfr.training.batch import Batch
from mltfr.training.config import TrainingConfig
from mltfr.training.step import OptimizationStep, TrainingLoss


@dataclass(frozen=True)
class CapturedGraph:
    """A captured step of one shape.

    Attributes:
        graph: the graph to replay.
        batch: the batch that it reads, on the device.
        loss: the mean loss that it writes, a scalar.
    """

    graph: torch.cuda.CUDAGraph
    batch: Batch
    loss: Tensor


class CapturedStep:
    """Optimisation steps by replay of CUDA graphs: a shape's second step is captured.

    Whatever a step reads and writes besides the batch has to stay in place: weights, optimiser state, buffers.

    Args:
        step: the step to capture, on a CUDA device, with `capturable` set.
    """

    def __init__(self, step: OptimizationStep) -> None:
        self.step, self.model = step, step.loss.model
        self.captured: dict[Hashable, CapturedGraph | None] = {}
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, batch: Batch, replay: bool = True) -> Tensor:
        """Train on a batch on the CPU, and return its mean loss, which the next step overwrites.

        Args:
            batch: a batch on the CPU.
            replay: whether the step may be captured or replayed; a replayed one adds nothing to the fusion's
                diagnostics.

        Raises:
            ConfigError: the step does something that cannot be captured.
        """
        batch = batch.padded_to_bucket(self.model.backbone.max_length)
        if not replay:
            return self.step(batch.to(self.step.device))
        fusion = self.model.fusion
        key = (fusion.graph_key() if fusion is not None else None, *(tensor.shape for tensor in batch.tensors))
        if key not in self.captured:  # the first step initialises libraries, which a capture must not do
            self.captured[key] = None
            return self.step(batch.to(self.step.device))
        found = self.captured[key]
        if found is None:
            found = self.captured[key] = self._capture(batch)
        for own, given in zip(found.batch.tensors, batch.tensors, strict=True):
            own.copy_(given.pin_memory(), non_blocking=True)
        found.graph.replay()
        return found.loss

    def _capture(self, batch: Batch) -> CapturedGraph:
        batch = batch.to(self.step.device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                loss = self.step(batch)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # a component from another package that synchronises with the device, say
            raise ConfigError(
                f"The training step cannot be captured as a CUDA graph ({' '.join(str(error).split())[:120]}). "
                "Set training.advanced.cuda_graphs = false."
            ) from error
        return CapturedGraph(graph, batch, loss)


def can_capture(loss: TrainingLoss, config: TrainingConfig, device: torch.device) -> bool:
    """Return whether steps can be captured: on a CUDA device, where no shape depends on the values of a batch."""
    model, fusion = loss.model, loss.model.fusion
    enabled = config.advanced.cuda_graphs and config.shards == 1 and device.type == "cuda"
    alone = loss.objective is None and loss.teacher is None
    dropped = model.item_dropout.probability > 0 and not model.corrects_items
    # such a fusion asks with undropped vectors, which are made for the different items of a batch: their number varies
    undropped = dropped and model.names is not None and fusion is not None and fusion.reads_item_vectors
    return enabled and not loss.by_lookup and not undropped and alone and (fusion is None or fusion.supports_cuda_graph)
