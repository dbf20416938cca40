"""The training loop, its rounds, batches, checkpoints and loggers."""

from mltfr.training.checkpoint import Checkpoints
from mltfr.training.config import TrainingConfig
from mltfr.training.interrupts import Interrupted, stop_request
from mltfr.training.reporting import Console, JsonLines, Reporter, Reporters, TensorBoard
from mltfr.training.rounds import Trained, install_consensus, train

__all__ = [
    "Checkpoints",
    "Console",
    "Interrupted",
    "JsonLines",
    "Reporter",
    "Reporters",
    "TensorBoard",
    "Trained",
    "TrainingConfig",
    "install_consensus",
    "stop_request",
    "train",
]
