"""The processes that train one model together, and what they say to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn

from mltfr.errors import ConfigError, MltfrError
from mltfr.evaluation.ranks import MISS, Ranks
from mltfr.training.config import TrainingConfig
from mltfr.training.devices import launched, make_fabric
from mltfr.training.fabric import Fabric

T = TypeVar("T")
PATIENCE = timedelta(hours=2)
"""Longest wait for another process, which may be fetching tables; one that has ended is noticed at once."""


class LostProcessError(MltfrError):
    """Another process of the training has ended, so that this one cannot go on."""


class Team:
    """One process, and through it the others; every method is called by all of them in the same order.

    Args:
        fabric: device and precision of this process.
        shards: parts of every batch; each process computes as many of them as every other.
        rank: number of this process, from 0.
        size: number of processes (W); their process group is there if it is more than one.

    Attributes:
        mine: the parts that this process computes.

    Raises:
        ConfigError: the parts cannot be dealt out evenly.
    """

    def __init__(self, fabric: Fabric, shards: int, rank: int = 0, size: int = 1) -> None:
        self.fabric, self.shards, self.rank, self.size = fabric, shards, rank, size
        if shards % self.size:
            raise ConfigError(
                f"{self.size} processes train together, and training.shards = {shards} is no multiple of it. "
                f"Set training.shards = {self.size}, or a multiple."
            )
        self.mine = range(self.rank, shards, self.size)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.fabric.device

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor `[...]` on this process's device over all processes, in place, and return it."""
        if self.size == 1:
            return tensor
        with _contact():
            distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Return whether any process says so."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0) if self.size > 1 else flag

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes, in their order, that differ in the first dimension only."""
        if self.size == 1:
            return [tensor]
        sizes = torch.zeros(self.size, dtype=torch.int64, device=self.device)
        sizes[self.rank] = len(tensor)
        lengths = self.sum(sizes).tolist()
        padded = tensor.new_zeros(max(lengths), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        gathered = [torch.empty_like(padded) for _ in lengths]
        with _contact():
            distributed.all_gather(gathered, padded)
        return [each[:length] for each, length in zip(gathered, lengths, strict=True)]

    def from_first(self, value: T) -> T:
        """Return the first process's value, which is small."""
        if self.size == 1:
            return value
        box = [value]
        with _contact():
            distributed.broadcast_object_list(box, 0, device=self.device)
        return box[0]

    def tensors_from_first(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor] | None:
        """Return the first process's tensors, on the CPU; what the others give is not looked at."""
        if self.size == 1:
            return None if tensors is None else dict(tensors)
        kinds = None if tensors is None else {name: (t.shape, t.dtype) for name, t in tensors.items()}
        kinds = self.from_first(kinds)
        if kinds is None:
            return None
        found = {}
        for name, (shape, dtype) in kinds.items():
            here = tensors[name] if self.is_first and tensors is not None else torch.empty(shape, dtype=dtype)
            found[name] = self._broadcast(here.to(self.device).contiguous()).cpu()
        return found

    def equalise(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers, whatever its processor has made of them."""
        if self.size == 1:
            return
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.copy_(self._broadcast(tensor.detach().clone(memory_format=torch.contiguous_format)))

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process do something, and then the others, which find it done."""
        if not self.is_first:
            self.any(False)
        yield
        if self.is_first:
            self.any(False)

    def share_ranks(self, seed: int) -> Callable[[int, Callable[[slice], Ranks]], Ranks] | None:
        """Return what divides an evaluation among the parts as a batch is; None where there is one part.

        Args:
            seed: of the random numbers, for a model that draws some when it is evaluated.
        """
        if self.shards == 1:
            return None

        def share(count: int, rank: Callable[[slice], Ranks]) -> Ranks:
            found = torch.zeros(2, count, dtype=torch.int64)          # a part that is not here adds zeros
            for number in self.mine:
                part = slice(count * number // self.shards, count * (number + 1) // self.shards)
                if part.start < part.stop:
                    torch.manual_seed(int(np.random.default_rng([seed, number]).integers(2**63)))
                    ranks = rank(part)
                    found[:, part] = torch.from_numpy(np.stack([ranks.higher, ranks.tied]))
            higher, tied = self.sum(found.to(self.device)).cpu().numpy()
            return Ranks(np.minimum(higher, MISS), tied)

        return share

    def _broadcast(self, tensor: Tensor) -> Tensor:
        with _contact():
            distributed.broadcast(tensor, 0)
        return tensor


def make_team(config: TrainingConfig) -> Team:
    """Return this process's team, having met the others.

    Raises:
        ConfigError: the device is not there, or the parts cannot be dealt out evenly.
        LostProcessError: the others are not to be reached.
    """
    rank, size = launched()
    team = Team(make_fabric(config), config.shards, rank, size)
    if size > 1 and not distributed.is_initialized():  # Ray Train does it itself
        with _contact():
            distributed.init_process_group("nccl" if team.device.type == "cuda" else "gloo", timeout=PATIENCE)
    return team


@contextmanager
def _contact() -> Iterator[None]:
    """Turn what the communication library says into one line.

    Raises:
        LostProcessError: another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            raise
        raise LostProcessError(
            f"Another process of this training has ended ({' '.join(str(error).split())[:120]}). "
            "What went wrong stands in its own message. Then run the same command with --resume."
        ) from error
