"""The process group of a training, and its collective operations."""

from __future__ import annotations

import atexit
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
from mltfr.training.device import launched, make_device

T = TypeVar("T")
TIMEOUT = timedelta(hours=2)
"""Longest wait for another process, which may be downloading tables; one that has ended is noticed at once."""


class LostProcessError(MltfrError):
    """Another process of the training has ended, so that this one cannot go on."""


class ProcessGroup:
    """The processes that train one model; all of them call every method, in the same order.

    Args:
        device: the device of this process.
        shards: shards of every batch; every process computes the same number of them.
        rank: rank of this process, from 0; the main process has 0.
        size: number of processes (W); torch's process group is initialised if it is more than one.

    Attributes:
        local_shards: numbers of the shards that this process computes.

    Raises:
        ConfigError: the shards cannot be distributed evenly.
    """

    def __init__(self, device: torch.device, shards: int, rank: int = 0, size: int = 1) -> None:
        self.device, self.shards, self.rank, self.size = device, shards, rank, size
        if shards % self.size:
            raise ConfigError(
                f"{self.size} processes train together, and training.shards = {shards} is no multiple of it. "
                f"Set training.shards = {self.size}, or a multiple."
            )
        self.local_shards = range(self.rank, shards, self.size)

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes files."""
        return self.rank == 0

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sum a tensor `[...]` on this process's device over all processes, in place, and return it."""
        if self.size == 1:
            return tensor
        with _communication():
            distributed.all_reduce(tensor)
        return tensor

    def any(self, *flags: bool) -> list[bool]:
        """Return of each flag whether it is set in any process."""
        if self.size == 1:
            return list(flags)
        return [count > 0 for count in self.all_reduce(torch.tensor(flags, device=self.device).float()).tolist()]

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        self.any(False)

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes, by rank; their shapes may differ in the first dimension."""
        if self.size == 1:
            return [tensor]
        sizes = torch.zeros(self.size, dtype=torch.int64, device=self.device)
        sizes[self.rank] = len(tensor)
        lengths = self.all_reduce(sizes).tolist()
        padded = tensor.new_zeros(max(lengths), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        gathered = [torch.empty_like(padded) for _ in lengths]
        with _communication():
            distributed.all_gather(gathered, padded)
        return [each[:length] for each, length in zip(gathered, lengths, strict=True)]

    def broadcast(self, value: T) -> T:
        """Return the main process's value, any small object."""
        if self.size == 1:
            return value
        box = [value]
        with _communication():
            distributed.broadcast_object_list(box, 0, device=self.device)
        return box[0]

    def broadcast_tensors(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor] | None:
        """Return the main process's tensors, on the CPU; those of the others are ignored."""
        if self.size == 1:
            return None if tensors is None else dict(tensors)
        kinds = None if tensors is None else {name: (t.shape, t.dtype) for name, t in tensors.items()}
        kinds = self.broadcast(kinds)
        if kinds is None:
            return None
        found = {}
        for name, (shape, dtype) in kinds.items():
            here = tensors[name] if self.is_main and tensors is not None else torch.empty(shape, dtype=dtype)
            found[name] = self._broadcast_tensor(here.to(self.device).contiguous()).cpu()
        return found

    def broadcast_module(self, module: nn.Module) -> None:
        """Give every process the main one's parameters and buffers: rounding may differ between processors."""
        if self.size == 1:
            return
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.copy_(self._broadcast_tensor(tensor.detach().clone(memory_format=torch.contiguous_format)))

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run a block in the main process, and then in the others, which find its files."""
        if not self.is_main:
            self.barrier()
        yield
        if self.is_main:
            self.barrier()

    def share_ranks(self, seed: int) -> Callable[[int, Callable[[slice], Ranks]], Ranks] | None:
        """Return what shards an evaluation as a batch is sharded; None where there is one shard.

        Args:
            seed: of the random numbers, for a model that draws some in evaluation.
        """
        if self.shards == 1:
            return None

        def share(count: int, rank: Callable[[slice], Ranks]) -> Ranks:
            found = torch.zeros(2, count, dtype=torch.int64)          # a shard of another process adds zeros
            for number in self.local_shards:
                shard = slice(count * number // self.shards, count * (number + 1) // self.shards)
                if shard.start < shard.stop:
                    torch.manual_seed(int(np.random.default_rng([seed, number]).integers(2**63)))
                    ranks = rank(shard)
                    found[:, shard] = torch.from_numpy(np.stack([ranks.higher, ranks.tied]))
            higher, tied = self.all_reduce(found.to(self.device)).cpu().numpy()
            return Ranks(np.minimum(higher, MISS), tied)

        return share

    def _broadcast_tensor(self, tensor: Tensor) -> Tensor:
        with _communication():
            distributed.broadcast(tensor, 0)
        return tensor


def make_process_group(config: TrainingConfig) -> ProcessGroup:
    """Return the process group that the environment describes, initialised.

    Raises:
        ConfigError: the device is not there, or the shards cannot be distributed evenly.
        LostProcessError: the others cannot be reached.
    """
    rank, size = launched()
    group = ProcessGroup(make_device(config), config.shards, rank, size)
    if size > 1 and not distributed.is_initialized():  # Ray Train does it itself
        with _communication():
            distributed.init_process_group("nccl" if group.device.type == "cuda" else "gloo", timeout=TIMEOUT)
        atexit.register(leave_process_group)
    return group


def leave_process_group() -> None:
    """End this process's connections, if it has any: on processors, others that wait for it get a `LostProcessError`.

    It joins the communication library's threads, too: a process that ends while they run can be aborted.
    """
    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def _communication() -> Iterator[None]:
    """Report an error of the communication library in one line.

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
            "Its own message says what went wrong. Then run the same command with --resume."
        ) from error
