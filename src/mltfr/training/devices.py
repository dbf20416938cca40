"""The device that a process trains on, and the group of processes that train together."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import torch

from mltfr.errors import ConfigError
from mltfr.training.config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

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
    """Return the Fabric of this process's device, its group of processes being at hand.

    Raises:
        ConfigError: the device that was asked for is not there.
    """
    from lightning_fabric import Fabric  # slow to import, so only when something trains

    kind, _, number = config.device.partition(":")
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if kind == "auto":
        kind = "cuda" if available["cuda"] else "cpu"
    if not available[kind] or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise ConfigError(f"training.device is '{config.device}', but torch finds no such device here. Use 'auto'.")
    precision: Any = "bf16-mixed" if config.precision == "bf16" else "32-true"
    if launched()[1] > 1:
        return _one_of_many(kind, number, precision)
    options: dict[str, Any] = {"devices": [int(number)] if number else 1}
    return Fabric(accelerator=kind, precision=precision, **options)


def _one_of_many(kind: str, number: str, precision: Any) -> Fabric:
    """Return the Fabric of a process that torchrun or Ray Train has started among others."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import TorchElasticEnvironment
    from lightning_fabric.strategies import DDPStrategy

    class Launched(TorchElasticEnvironment):
        """The environment variables of torchrun, on nodes that need not have the same number of processes."""

        def validate_settings(self, num_devices: int, num_nodes: int) -> None:
            """Accept any number of processes on a node."""

    class PlainModule(DDPStrategy):
        """A group of processes; the sum of their gradients is `mltfr.training.parts`'s affair, not a wrapper's."""

        def setup_module(self, module: torch.nn.Module) -> Any:
            """Return the module as it is."""
            return module

    here = int(os.environ.get("LOCAL_WORLD_SIZE", int(os.environ["LOCAL_RANK"]) + 1))
    if number:
        raise ConfigError(f"training.device is 'cuda:{number}', but {here} processes train here. Use 'cuda'.")
    if kind == "cuda" and here > torch.cuda.device_count():
        raise ConfigError(
            f"{here} processes train on this machine, but it has {torch.cuda.device_count()} GPU(s). "
            "Start one process for every GPU, or set training.device = 'cpu'."
        )
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=kind, devices=here, strategy=PlainModule(), precision=precision, plugins=[Launched()]
    )
    fabric.launch()
    return fabric
