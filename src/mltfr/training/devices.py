"""The device that a process trains on, alone or as one of many."""

from __future__ import annotations

import os

import torch

from mltfr.errors import ConfigError
from mltfr.training.config import TrainingConfig
from mltfr.training.fabric import Fabric

_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def launched() -> tuple[int, int]:
    """Return this process's number and how many train together, as torchrun and Ray Train put it in the environment.

    Returns:
        (0, 1) for a process that was started alone.
    """
    if any(name not in os.environ for name in _LAUNCHED):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def make_fabric(config: TrainingConfig) -> Fabric:
    """Return the Fabric of one device: of several processes on a machine with GPUs, each has its own.

    Raises:
        ConfigError: the device that was asked for is not there.
    """
    kind, _, number = config.device.partition(":")
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if kind == "auto":
        kind = "cuda" if available["cuda"] else "cpu"
    if not available[kind] or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise ConfigError(f"training.device is '{config.device}', but torch finds no such device here. Use 'auto'.")
    if launched()[1] > 1 and kind == "cuda":
        number = str(_own_gpu(number))
    return Fabric(torch.device(kind, int(number)) if number else torch.device(kind), config.precision)


def _own_gpu(number: str) -> int:
    """Return the number of the GPU that this process has to itself."""
    own = int(os.environ["LOCAL_RANK"])
    if number:
        raise ConfigError(f"training.device is 'cuda:{number}', but several processes train together. Use 'cuda'.")
    if own >= torch.cuda.device_count():
        raise ConfigError(
            f"Process {own + 1} of this machine finds {torch.cuda.device_count()} GPU(s). "
            "Start one process for every GPU, or set training.device = 'cpu'."
        )
    return own
