"""Where a training stands, and how a checkpoint of it is read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields

from pydantic import TypeAdapter
from torch import Tensor

from mltfr.errors import RunError
from mltfr.training.checkpoint import REMEDY, STATE, Checkpoints
from mltfr.training.reporting import Record


@dataclass
class RoundState:
    """Where a round stands; what a checkpoint's JSON holds.

    Attributes:
        round: number of the round, from 1.
        epoch: epochs done.
        batch: batches done of the epoch under way.
        step: batches done in the whole round.
        best: best validation score so far, None before the first validation.
        best_epoch: the epoch that reached it.
        stale: validations since then.
        loss_sum: summed loss of the epoch under way.
        seconds: seconds spent on the epoch under way.
        elapsed: seconds spent on the training in all, interruptions left out.
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
class Saved:
    """A checkpoint that this training may continue from.

    Attributes:
        tensors: weights, optimiser state and random states by name.
        state: where the training stood.
    """

    tensors: dict[str, Tensor]
    state: RoundState


def load_saved(checkpoints: Checkpoints, fingerprint: str) -> Saved | None:
    """Return the checkpoint, or None where there is none.

    Args:
        checkpoints: where it is kept.
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
            "The checkpoint was made from other data or settings, or by other versions of mltfr or torch. "
            f"Give the same ones. Otherwise: {REMEDY}"
        )
    try:
        if odd := {f.name for f in fields(RoundState)} ^ set(state):
            raise ValueError(f"unknown or missing: {', '.join(sorted(odd))}")
        return Saved(tensors, TypeAdapter(RoundState).validate_json(json.dumps(state), strict=True))
    except ValueError as error:  # pydantic's is one
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{checkpoints.folder / STATE}: damaged ({reason}). {REMEDY}") from error
