"""The training loop, its rounds, batches, checkpoints and loggers."""

from mltfr.training.checkpoint import CHECKPOINT_FORMAT, Checkpoints
from mltfr.training.config import TrainingConfig
from mltfr.training.devices import launched
from mltfr.training.interrupts import Interrupted, stop_request
from mltfr.training.reporting import Console, JsonLines, Reporter, Reporters, TensorBoard
from mltfr.training.rounds import Trained, add_consensus, train
from mltfr.training.state import Saved, load_saved
from mltfr.training.team import LostProcessError, Team, make_team

__all__ = [
    "CHECKPOINT_FORMAT",
    "Checkpoints",
    "Console",
    "Interrupted",
    "JsonLines",
    "LostProcessError",
    "Reporter",
    "Reporters",
    "Saved",
    "Team",
    "TensorBoard",
    "Trained",
    "TrainingConfig",
    "add_consensus",
    "launched",
    "load_saved",
    "make_team",
    "stop_request",
    "train",
]
