"""How long a training takes at most: told once, after its first seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

from mltfr.fusion import TwoRoundFusion
from mltfr.interactions import Histories
from mltfr.model import SequentialModel
from mltfr.storage.duration import duration
from mltfr.training.callbacks import Callback, Record
from mltfr.training.samples import PrefixSamples, Samples, WindowSamples
from mltfr.training.times import RoundTimes

TRIED_SECONDS = 5.0
"""Seconds of training from which its pace is taken."""
LONG_SECONDS = 15 * 60.0
"""From so many seconds on, what would be faster is told too."""
MERGE_SHARE = 0.1
"""What the merge between two rounds takes on a CPU, about, as a share of the first of them."""


@dataclass(frozen=True)
class Pace:
    """The pace of a training, and what is left of it at most; as a text, in words.

    Attributes:
        epoch_seconds: seconds that an epoch takes.
        validated: whether a validation is in them; else each epoch's comes on top.
        epochs: maximum number of epochs that are left, of this round and of each that follows.
        seconds: seconds that they take.
        faster: settings that would make it faster, and what each gains; empty where it does not take long.
    """

    epoch_seconds: float
    validated: bool
    epochs: tuple[int, ...]
    seconds: float
    faster: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return asdict(self)

    def __str__(self) -> str:
        text = (
            f"about {duration(self.epoch_seconds)} an epoch{'' if self.validated else ' without its validation'}, at "
            f"most {' + '.join(map(str, self.epochs))} epochs left and so {duration(self.seconds)}; stops earlier when "
            "validation no longer improves"
        )
        if self.faster:
            text += "\nfaster would be: " + "; ".join(f"{setting} ({gain})" for setting, gain in self.faster.items())
        return text


class PaceMeter(Callback):
    """Takes the time of a training's first seconds, from its second step on, and tells the pace once.

    Args:
        epochs: maximum number of epochs of every round.
        tell: called with the pace.
        faster: returns what `Pace.faster` says of a training that takes long, by the seconds of an epoch.
        wait: waits for the steps that the device still has to do.
    """

    def __init__(
        self,
        epochs: Sequence[int],
        tell: Callable[[Pace], None],
        faster: Callable[[float], Mapping[str, str]],
        wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.epochs, self.tell, self.faster, self.wait = epochs, tell, faster, wait
        self.told = False

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        """Begin anew: a round's steps may take longer than those of the one before."""
        self.round, self.batches, self.times = number, batches, RoundTimes()

    def on_batch_end(self, epoch: int, batch: int) -> None:
        """Count a step; the first one, which may warm up, begins the time."""
        if self.told:
            return
        if self.times.last is None:
            self.wait()
        self.times.step(time.monotonic())
        if self._tried():
            self.wait()
            self.times.step(time.monotonic(), 0)
            self._tell(epoch - 1 + batch / self.batches)

    def on_epoch_end(self, record: Record) -> None:
        """Count a validation."""
        if self.told:
            return
        self.times.validation(time.monotonic())
        if self._tried():
            self._tell(record["epoch"])

    def _tried(self) -> bool:
        return self.times.steps > 0 and self.times.seconds >= TRIED_SECONDS

    def _tell(self, done: float) -> None:
        """Tell the pace, with so many epochs of this round done."""
        epoch = self.times.of(self.batches, 1)
        left = [self.epochs[self.round - 1] - done, *self.epochs[self.round :]]
        merging = MERGE_SHARE * sum(self.epochs[self.round - 1 : -1])
        seconds = epoch * (sum(left) + merging)
        self.told = True
        if left[0] or left[1:]:
            epochs = tuple(ceil(each) for each in left if each)
            faster = self.faster(epoch) if seconds >= LONG_SECONDS else {}
            self.tell(Pace(round(epoch, 3), self.times.validations > 0, epochs, round(seconds, 1), faster))


def faster_settings(
    model: SequentialModel, samples: Samples, histories: Histories, epochs: int, seconds: float
) -> dict[str, str]:
    """Return settings that make a training faster, and what each gains on its log.

    Args:
        model: the model that trains.
        samples: its training samples.
        histories: the training histories.
        epochs: maximum number of epochs of all rounds.
        seconds: seconds that an epoch takes.
    """
    fusion, found = model.fusion, {}
    if isinstance(samples, PrefixSamples) and model.backbone.is_causal and not (fusion and fusion.needs_prefixes):
        length = model.backbone.max_length
        ratio = len(samples) / len(WindowSamples(histories, length, length))
        if ratio >= 2:
            fewer_steps = f"1/{ratio:.0f} of the steps of an epoch, but as a rule weaker scores"
            found["--set training.samples=positions"] = fewer_steps
    fewer = max(2, int(LONG_SECONDS / seconds))
    if fewer <= epochs / 2:
        found[f"--epochs {fewer}"] = f"at most {duration(fewer * seconds)}"
    if fusion is not None:
        two = isinstance(fusion, TwoRoundFusion) and fusion.rounds > 1
        found["--fusion none"] = "cheaper steps" + ", and one round" * two
    return found
