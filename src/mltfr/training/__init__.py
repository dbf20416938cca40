"""The training loop, its rounds, batches, checkpoints and callbacks."""

from mltfr.training.callbacks import Callback, Callbacks, Console, JsonLines, TensorBoard
from mltfr.training.checkpoint import CHECKPOINT_FORMAT, Checkpoint, Checkpoints, load_checkpoint
from mltfr.training.config import AdvancedTrainingConfig, TrainingConfig
from mltfr.training.device import launched
from mltfr.training.distributed import LostProcessError, ProcessGroup, leave_process_group, make_process_group
from mltfr.training.interrupts import Interrupted, stop_request
from mltfr.training.rounds import Trained, add_consensus, train
from mltfr.training.trackers import TRACKERS, MLflowTracker, Tracker, TrackioTracker, WandbTracker, make_trackers
from mltfr.training.warm_start import grown, warm_start

__all__ = [
    "CHECKPOINT_FORMAT",
    "TRACKERS",
    "AdvancedTrainingConfig",
    "Callback",
    "Callbacks",
    "Checkpoint",
    "Checkpoints",
    "Console",
    "Interrupted",
    "JsonLines",
    "LostProcessError",
    "MLflowTracker",
    "ProcessGroup",
    "TensorBoard",
    "Tracker",
    "TrackioTracker",
    "Trained",
    "TrainingConfig",
    "WandbTracker",
    "add_consensus",
    "grown",
    "launched",
    "leave_process_group",
    "load_checkpoint",
    "make_process_group",
    "make_trackers",
    "stop_request",
    "train",
    "warm_start",
]
