"""The device that a process trains on, and the precision of its arithmetic."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from mltfr.errors import ConfigError
from mltfr.training.config import TrainingConfig

_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def launched() -> tuple[int, int]:
    """Return this process's rank and how many train together, as torchrun and Ray Train put it in the environment.

    Returns:
        (0, 1) for a process that was started alone.
    """
    if any(name not in os.environ for name in _LAUNCHED):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def make_device(config: TrainingConfig) -> torch.device:
    """Return the device to train on, as torch's current one: of several processes on a machine, each has its own GPU.

    "auto" is a CUDA device where there is one, else the CPU. "mps" (Apple silicon) is used by name only.

    Raises:
        ConfigError: the device that was asked for is not there.
    """
    kind, _, number = config.device.partition(":")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        kind = "cuda" if available["cuda"] else "cpu"
    if not available[kind] or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise ConfigError(f"training.device is '{config.device}', but torch finds no such device here. Use 'auto'.")
    if launched()[1] > 1 and kind == "cuda":
        number = str(_own_gpu(number))
    device = torch.device(kind, int(number)) if number else torch.device(kind)
    if number:
        torch.cuda.set_device(device)
    return device


def wait_for(device: torch.device) -> None:
    """Wait until a device has done all that it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def autocast(device: torch.device, precision: Literal["32", "bf16"]) -> AbstractContextManager[object]:
    """Return the context of a forward pass: "bf16" is matrix products in bfloat16 with weights in float32.

    bfloat16 has float32's range, so the loss needs no scaling.
    """
    return nullcontext() if precision == "32" else torch.autocast(device.type, dtype=torch.bfloat16)


def sum_dtype(device: torch.device) -> torch.dtype:
    """Return the type in which a device adds up losses: float64, or float32 on mps, which has no wider one."""
    return torch.float32 if device.type == "mps" else torch.float64


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
