"""What fits a run's model, and what a fit is given and returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

from torch import Tensor

from mltfr.interactions import Split
from mltfr.memory import TrainingMemory
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.inputs import Tables
from mltfr.pipeline.models import Model
from mltfr.training import Callback, Checkpoint, Checkpoints
from mltfr.training.teacher import Teacher


@dataclass(frozen=True)
class Session:
    """What surrounds a fit.

    Attributes:
        callback: receives the progress.
        stop: when set, the fit is interrupted; None where nothing interrupts it.
        enough: when set, training ends with the best weights so far; None where only validation ends it.
        checkpoints: where a training's state is kept; None keeps none.
        checkpoint: the checkpoint to continue from; None begins anew.
        parent: the fitted model whose weights training begins with, where there is no checkpoint; None for initial
            values.
        fingerprint: hash of all that a checkpoint depends on.
        teacher: what the training learns from beside the targets; None for nothing.
        ends: epoch after which each round ends, where nothing is held out to choose it by; empty where validation does.
    """

    callback: Callback
    stop: Event | None = None
    enough: Event | None = None
    checkpoints: Checkpoints | None = None
    checkpoint: Checkpoint | None = None
    parent: FittedModel | None = None
    fingerprint: str = ""
    teacher: Teacher | None = None
    ends: Sequence[int] = ()


@dataclass(frozen=True)
class Fit:
    """What comes of a fit.

    Attributes:
        model: the model with its final weights.
        facts: what the manifest says of the fit.
        history: one record per epoch.
    """

    model: Model
    facts: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)


class Estimator(Protocol):
    """Fits the model that a run's settings describe, and restores it from its weights."""

    def check(self, data: Split) -> None:
        """Raise ConfigError where a split does not allow the fit."""

    def main_process_first(self) -> AbstractContextManager[None]:
        """Return the context in which the other processes of a training wait for the main one."""

    def check_processes(self, fingerprint: str) -> None:
        """Raise RunError where the processes of a training do not have the same data, settings and versions."""

    def memory(self, data: Split) -> TrainingMemory | None:
        """Return the memory estimate of the training; None where nothing is trained."""

    def fit(self, data: Split, tables: Tables, session: Session) -> Fit:
        """Fit the model to the training split; whatever is chosen is chosen on the validation split.

        Raises:
            Interrupted: the session's `stop` was set.
            ConfigError: the settings do not suit this data or this machine.
        """

    def restore(self, items: int, tables: Tables, weights: Mapping[str, Tensor]) -> Model:
        """Return the fitted model that the settings and weights describe.

        Args:
            items: number of items I.
            tables: what it was fitted with, or placeholders.
            weights: its `state_dict`.

        Raises:
            KeyError, ValueError, RuntimeError: the weights are of something else.
        """
