"""What a training step does to a model, in its order."""

from __future__ import annotations

from collections.abc import Hashable

from torch import Tensor

from mltfr.training.config import TrainingConfig
from mltfr.training.fabric import Fabric
from mltfr.training.graphs import Graphs, can_record
from mltfr.training.optimizer import make_optimizer
from mltfr.training.row_adam import RowAdam, clip_rows
from mltfr.training.samples import Batch
from mltfr.training.step import TrainingStep


class Update:
    """Moves a model by a batch: loss, gradient, clip, optimiser.

    Args:
        step: the model with its loss and objective; put on the fabric's device.
        config: settings.
        fabric: device and precision.
    """

    def __init__(self, step: TrainingStep, config: TrainingConfig, fabric: Fabric) -> None:
        self.fabric = fabric
        self.largest_norm = config.gradient_clip
        graphs = config.cuda_graphs and config.shards == 1 and can_record(step, fabric.device)
        optimizer = make_optimizer(config, step.to(fabric.device).parameters(), step.sparse, recorded=graphs)
        self.rows = optimizer if isinstance(optimizer, RowAdam) else None
        """The optimiser, where it leaves item vectors alone until they are read."""
        if self.rows is not None:
            self.rows.follow(step.model.item_vectors)
        self.step, self.optimizer = fabric.setup(step, optimizer)
        self.most = step.model.backbone.max_length
        self.fusion = step.model.fusion
        self.graphs = Graphs(self._move, self._stage, fabric.device) if graphs else None

    def __call__(self, batch: Batch, record: bool = True) -> Tensor:
        """Move the model by a batch, and return its mean loss, a scalar.

        Args:
            batch: a batch on the CPU.
            record: whether the step may be recorded or replayed, where that is faster; a replayed one leaves nothing
                in the fusion's diagnostics.
        """
        if self.graphs is None:
            return self._move(batch.to(self.fabric.device))
        batch = batch.filled(self.most)
        return self.graphs(batch) if record else self._move(batch.to(self.fabric.device))

    def _move(self, batch: Batch) -> Tensor:
        self.optimizer.zero_grad()  # first: the old gradients need not exist beside the new scores
        loss = self.loss(batch)
        self.fabric.backward(loss)
        self.apply()
        return loss.detach()

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch on the device, with what its gradient needs."""
        return self.step(
            batch.items, batch.targets, *batch.views, wanted=batch.wanted, counted=batch.counted
        )

    def apply(self) -> None:
        """Clip the gradients that are there, and move the model by them."""
        if self.largest_norm and self.rows is not None:
            clip_rows(self.step.parameters(), self.largest_norm)
        elif self.largest_norm:
            self.fabric.clip_gradients(self.step, self.largest_norm)
        self.optimizer.step()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of what follows."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _stage(self) -> Hashable:
        return self.fusion.graph_key() if self.fusion is not None else None
