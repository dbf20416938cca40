"""Checkpoints: safetensors plus JSON, complete after a kill at any moment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mltfr.errors import OutputError, RunError
from mltfr.storage.adapter import adapter_of
from mltfr.storage.files import atomic_file, read_json, remove_partial, sha256, write_text
from mltfr.storage.folder import damaged
from mltfr.storage.sealed import sealed, unsealed
from mltfr.training.callbacks import Record

CHECKPOINT_FORMAT = 2
STATE = "state.json"
REMEDY = "Remove the run folder and start again without --resume."
_TENSORS = re.compile(r"tensors-\d+-\d+-\d+\.safetensors")
_TEACHER = re.compile(r"teacher-[0-9a-f]{16}\.npy")
_OURS = re.compile(f"{_TENSORS.pattern}|{_TEACHER.pattern}")


def teacher_file(folder: Path, key: str) -> Path:
    """Return the file in a folder of checkpoints that holds what a teacher thinks, by its key of 16 hex digits."""
    return folder / f"teacher-{key}.npy"


def plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as safetensors writes them: without gradients, on the CPU, contiguous."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


class Checkpoints:
    """The latest checkpoint of a run, in its own folder.

    `state.json` names the tensor file that belongs to it and is renamed into place last, so that a kill
    leaves either the old checkpoint or the new one, never a mixture of both.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Replace the checkpoint.

        Args:
            tensors: weights, optimiser state and random states by name.
            state: what JSON can hold: round, epoch, batch, best so far, ...

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"tensors-{state['round']}-{state['epoch']}-{state['batch']}.safetensors"
            with atomic_file(self.folder / name) as path:
                save_file(plain_tensors(tensors), path)
            record = {**state, "tensors": name, "sha256": sha256(self.folder / name)}
            write_text(self.folder / STATE, json.dumps(sealed(record)))
            self._remove(_TENSORS, but=name)
        except OutputError as error:
            raise OutputError(f"{error} Then run the same command with --resume.") from error
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"{self.folder}: the checkpoint cannot be written ({error}). "
                "Free some space, then run the same command with --resume."
            ) from error

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the tensors and the state, or None where there is no checkpoint.

        Raises:
            RunError: the checkpoint is damaged.
        """
        path = self.folder / STATE
        if not path.exists():
            return None
        with damaged(path, RunError, REMEDY, (SafetensorError,)):
            state = unsealed(read_json(path))
            file = self.folder / str(state.pop("tensors"))
            if not _TENSORS.fullmatch(file.name) or file.parent != self.folder:
                raise ValueError("it names no file of tensors")
            if sha256(file) != state.pop("sha256"):
                raise RunError(f"{file}: damaged (its checksum differs). {REMEDY}")
            return load_file(file), state

    def is_ours(self) -> bool:
        """Return whether the folder holds a state, or nothing that a checkpoint is not made of."""
        if not self.folder.is_dir():
            return False
        names = [path.name for path in self.folder.iterdir() if not path.name.startswith(".")]
        return STATE in names or all(map(_OURS.fullmatch, names))

    def clear(self) -> None:
        """Remove the checkpoint, and its folder where nothing else lies in it; whatever cannot be removed stays.

        The state goes first, so that nothing points to missing tensors. A folder elsewhere that the checkpoint's is a
        link to is left as it is.
        """
        if not self.folder.is_symlink():
            with suppress(OSError):
                (self.folder / STATE).unlink(missing_ok=True)
                self._remove(_OURS)
                remove_partial(self.folder)
                self.folder.rmdir()

    def _remove(self, names: re.Pattern[str], but: str = "") -> None:
        for path in self.folder.iterdir():
            if names.fullmatch(path.name) and path.name != but:
                with suppress(OSError):  # a network file system keeps files that are open somewhere
                    path.unlink()


@dataclass
class TrainerState:
    """Progress of a training: the JSON of a checkpoint.

    Attributes:
        round: number of the round, from 1.
        epoch: finished epochs of the round.
        batch: finished batches of the current epoch.
        step: finished batches of the round.
        best: best validation score so far, None before the first validation.
        best_epoch: its epoch.
        stale: validations since the best one.
        loss_sum: summed loss of the current epoch.
        seconds: seconds spent on the current epoch.
        elapsed: seconds spent on the whole training, without interruptions.
        finished: whether the round has ended.
        history: one record for every epoch of all rounds.
    """

    round: int = 1
    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    elapsed: float = 0.0
    finished: bool = False
    history: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to continue a training from.

    Attributes:
        tensors: weights, optimiser state and random states by name.
        state: progress of the training.
    """

    tensors: dict[str, Tensor]
    state: TrainerState


def load_checkpoint(checkpoints: Checkpoints, fingerprint: str) -> Checkpoint | None:
    """Return the checkpoint, or None where there is none.

    Args:
        checkpoints: its folder.
        fingerprint: of data, settings and versions, as given to `train`.

    Raises:
        RunError: the checkpoint is damaged or belongs to other data, settings or versions.
    """
    found = checkpoints.load()
    if found is None:
        return None
    tensors, state = found
    if state.pop("fingerprint", None) != fingerprint:
        raise RunError(
            "The checkpoint was made from other data, names or settings, or by other versions of mltfr or torch. "
            f"Give the same ones. Otherwise: {REMEDY}"
        )
    try:
        if odd := {f.name for f in fields(TrainerState)} ^ set(state):
            raise ValueError(f"unknown or missing: {', '.join(sorted(odd))}")
        return Checkpoint(tensors, adapter_of(TrainerState).validate_json(json.dumps(state), strict=True))
    except ValueError as error:  # pydantic's is one
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{checkpoints.folder / STATE}: damaged ({reason}). {REMEDY}") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as flat tensors: `optimizer.<parameter>.<quantity>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{key}": torch.as_tensor(value)
        for number, entry in state.items()
        for key, value in entry.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def copied(weights: Mapping[str, Tensor], old: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy of the weights in main memory, written over an older copy where its shapes allow it."""
    return {
        name: old[name].copy_(tensor.detach())
        if name in old and old[name].shape == tensor.shape and old[name].dtype == tensor.dtype
        else tensor.detach().cpu().clone()
        for name, tensor in weights.items()
    }


def random_tensors() -> dict[str, Tensor]:
    """Return the states of torch's random generators."""
    states = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"random.cuda.{n}": s for n, s in enumerate(torch.cuda.get_rng_state_all())}
    return states


def load_random(tensors: Mapping[str, Tensor]) -> None:
    """Restore the states that `random_tensors` returned, of the devices that this machine has."""
    torch.set_rng_state(tensors["random.cpu"])
    for name, tensor in tensors.items():
        if name.startswith("random.cuda.") and int(name.rsplit(".", 1)[1]) < torch.cuda.device_count():
            torch.cuda.set_rng_state(tensor, int(name.rsplit(".", 1)[1]))
