"""Training samples: the sequences and targets that batches are made of, for every way of training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import Histories
from mltfr.interactions.collate import Codes, pad_right_aligned
from mltfr.model import SequentialModel
from mltfr.objectives import Objective
from mltfr.objectives.base import Indices
from mltfr.training.batch import Batch
from mltfr.training.config import TrainingConfig
from mltfr.training.teacher import Teacher


class Samples(ABC):
    """All training samples of a log, addressed by number.

    Sample `n` reads `items[start:stop]` of the flat training histories. Subclasses say where it lies, and make
    batches.

    Args:
        histories: the training histories.
        count: number of samples N.

    Raises:
        DataError: there is no sample.
    """

    def __init__(self, histories: Histories, count: int) -> None:
        if count == 0:
            raise DataError(
                "No user has two training interactions, so there is nothing to train on. "
                "Give a log with longer histories."
            )
        self.items = histories.items
        self._count = count

    def __len__(self) -> int:
        return self._count

    @abstractmethod
    def bounds(self, indices: npt.NDArray[np.integer]) -> tuple[Indices, Indices]:
        """Return start and stop of samples `[B]` in the flat histories, int64 `[B]` each."""

    @abstractmethod
    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return samples `[B]` as one batch; `rng` draws what is random in it."""

    def target_places(self, indices: Indices) -> Indices:
        """Return where in the flat histories the targets of samples `[B]` lie, int64 `[B, T]`; -1 for none.

        Raises:
            ConfigError: the targets are not what follows a prefix.
        """
        raise ConfigError(
            "A teacher says what follows a history, and a backbone that is trained by masking is not asked that. "
            "Choose a causal backbone such as 'sasrec', or leave out the teacher."
        )

    def lengths(self, indices: npt.NDArray[np.integer]) -> Indices:
        """Return how many interactions samples `[B]` read, int64 `[B]`."""
        start, stop = self.bounds(indices)
        return stop - start

    def read(self, indices: Indices) -> Codes:
        """Return the sequences that samples `[B]` read, as right-aligned codes, int64 `[B, L]`."""
        return self._collated(*self.bounds(indices))

    def same_target(self, indices: Indices, rng: np.random.Generator) -> Indices:
        """Return for samples `[B]` another one each whose sequence the same item follows, int64 `[B]`.

        All others have the same chance. A sample without any other is its own.
        """
        order, place, first, count = self._by_target
        others = np.maximum(count[indices] - 1, 1)                    # [B]
        drawn = first[indices] + rng.integers(0, others)              # [B]
        drawn += (drawn >= place[indices]) & (count[indices] > 1)     # steps over the sample itself
        return np.asarray(order[drawn], np.int64)

    @cached_property
    def _by_target(self) -> tuple[Indices, Indices, Indices, Indices]:
        """All samples sorted by the item that follows, and of each its place in there, its group's start and size."""
        targets = self.items[self.bounds(np.arange(len(self)))[1]]    # [N]
        order = np.argsort(targets, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        first = np.searchsorted(targets, targets, "left", sorter=order)
        return order, place, first, np.searchsorted(targets, targets, "right", sorter=order) - first

    def _collated(self, start: Indices, stop: Indices) -> Codes:
        sequences = [self.items[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
        return pad_right_aligned(sequences, max(1, int((stop - start).max())))  # an empty prefix is padding


class PrefixSamples(Samples):
    """Every prefix of a history is a sample, and its next item the only target.

    A history of n items has n - 1 prefixes, or n with the empty one, numbered in the order of their targets. Which
    history a sample belongs to is found by bisection, so that only eight bytes a history are kept.

    Args:
        histories: the training histories.
        max_length: items that a prefix reads, at most (L).
        empty: whether a history's first item is the target of an empty prefix, one position of padding.
    """

    def __init__(self, histories: Histories, max_length: int, empty: bool = False) -> None:
        self.offsets = histories.offsets
        self.max_length, self.empty = max_length, empty
        first = 0 if empty else 1
        self.ends = np.cumsum(np.maximum(np.diff(self.offsets) - first, 0))  # [U], samples up to a history's last
        super().__init__(histories, int(self.ends[-1]) if len(self.ends) else 0)

    def bounds(self, indices: npt.NDArray[np.integer]) -> tuple[Indices, Indices]:
        """Return where prefixes start and stop, int64 `[B]` each; at the stop lies the target."""
        samples = np.asarray(indices, np.int64)
        user = np.searchsorted(self.ends, samples, "right")
        from_end = self.ends[user] - samples                                 # 1 for a history's longest prefix
        stop = self.offsets[user + 1] - from_end
        return np.maximum(self.offsets[user], stop - self.max_length), stop

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return prefixes `[B, L]` and their next items `[B, 1]`."""
        start, stop = self.bounds(indices)
        targets = self.items[stop].astype(np.int64)
        return Batch(torch.from_numpy(self._collated(start, stop)), torch.from_numpy(targets).unsqueeze(1))

    def target_places(self, indices: Indices) -> Indices:
        """Return where the next items lie, int64 `[B, 1]`.

        Raises:
            ConfigError: a teacher is asked what follows an empty prefix.
        """
        if self.empty:
            raise ConfigError(
                "A teacher says what follows a history, and training.empty_prefix trains on what follows nothing. "
                "Set it to false, or leave out the teacher."
            )
        return self.bounds(indices)[1][:, None]


class _CutSamples(Samples):
    """A history is a sample; long ones give several windows, cut from their ends.

    Args:
        histories: the training histories.
        length: items that a window reads, at most.
        step: items between the ends of two windows of a history.
        ahead: items by which the targets are ahead of what is read.
    """

    def __init__(self, histories: Histories, length: int, step: int, ahead: int) -> None:
        lengths = histories.lengths
        count = np.maximum(1, -(-(lengths - ahead) // step))                 # windows of every user
        user = np.repeat(np.arange(len(histories)), count)
        number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
        stop = histories.offsets[1:][user] - number * step
        start = np.maximum(histories.offsets[:-1][user], stop - length - ahead)
        keep = stop - start >= 2
        self.start, self.stop = start[keep], stop[keep] - ahead              # [N]
        super().__init__(histories, len(self.start))

    def bounds(self, indices: npt.NDArray[np.integer]) -> tuple[Indices, Indices]:
        """Return where windows start and stop, int64 `[B]` each."""
        return self.start[indices], self.stop[indices]


class WindowSamples(_CutSamples):
    """Windows of a history, with the items that follow their last `targets` positions; every item is a target once.

    With as many targets as positions, windows share no position, and the first ones of a window read little. With
    fewer, windows overlap, and every target is predicted from more than `max_length - targets` items, where there are
    so many.

    Args:
        histories: the training histories.
        max_length: items that a window reads, at most (L).
        targets: its last positions that have a target (T).
    """

    def __init__(self, histories: Histories, max_length: int, targets: int) -> None:
        self.targets = min(targets, max_length)
        super().__init__(histories, max_length, self.targets, ahead=1)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return windows `[B, L]` and the next items of their last positions `[B, T]`."""
        start, stop = self.bounds(indices)
        first = np.maximum(start, stop - self.targets)                       # the first position with a target
        items, targets = self._collated(start, stop), self._collated(first + 1, stop + 1)
        return Batch(torch.from_numpy(items), torch.from_numpy(targets))

    def target_places(self, indices: Indices) -> Indices:
        """Return where the items that follow the last positions lie, right-aligned, int64 `[B, T]`; -1 for none."""
        start, stop = self.bounds(indices)
        first = stop - np.minimum(self.targets, stop - start)
        places = stop[:, None] - np.arange(int((stop - first).max()))[::-1]  # [B, T]
        return np.where(places > first[:, None], places, -1)


class MaskedSamples(_CutSamples):
    """A history is a sample; some items are hidden behind the mask token and are the targets.

    A share `last` of the samples masks the last item only, which is how the model is read (Sun et al. 2019, section
    3.6, adds such samples); in all others a share `ratio` of the items is masked.
    """

    def __init__(self, histories: Histories, max_length: int, mask_token: int, ratio: float, last: float) -> None:
        super().__init__(histories, max_length, max_length, ahead=0)
        self.mask_token = mask_token
        self.ratio, self.last = ratio, last

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return partly masked histories `[B, L]` and the items behind the masks `[B, L]`."""
        items = self.read(indices)
        masked = rng.random(items.shape) < self.ratio
        only_last = rng.random(len(items)) < self.last
        masked[only_last] = False
        masked &= items != 0
        masked[only_last | ~masked.any(axis=1), -1] = True       # every sample has a target
        targets = np.where(masked, items, 0)
        return Batch(torch.from_numpy(np.where(masked, self.mask_token, items)), torch.from_numpy(targets))


def make_samples(
    config: TrainingConfig, model: SequentialModel, histories: Histories, objective: Objective | None = None
) -> Samples:
    """Return the training samples that suit a model and its training objective.

    Raises:
        ConfigError: a backbone or a fusion that sees later positions would be trained to predict what it sees, or the
            objective needs sequences that an item follows, and a masked history has none; or empty prefixes are asked
            for, and there is nothing to mask or to contrast in one.
        DataError: no history is long enough.
    """
    backbone = model.backbone
    if config.empty_prefix and (model.mask_token is not None or objective is not None):
        raise ConfigError(
            "training.empty_prefix trains on sequences of no item, in which there is nothing to "
            f"{'mask' if objective is None else 'contrast'}. Set it to false."
        )
    if model.mask_token is not None:
        if objective is not None:
            raise ConfigError(
                "A training objective needs sequences with an item that follows, and a backbone that is trained by "
                "masking has none. Set objective.name = 'none', or choose a causal backbone such as 'sasrec'."
            )
        return MaskedSamples(histories, backbone.max_length, model.mask_token, config.mask_ratio, config.mask_last)
    if config.samples in ("prefixes", "auto"):  # a run's settings name what auto came to
        return PrefixSamples(histories, backbone.max_length, config.empty_prefix)
    sees_later: nn.Module | None = None
    if not backbone.is_causal:
        sees_later = backbone
    elif model.fusion is not None and model.fusion.needs_prefixes:
        sees_later = model.fusion
    if sees_later is not None:
        raise ConfigError(
            f"training.samples = '{config.samples}' lets {type(sees_later).__name__} see its targets, since what it "
            "makes of a position depends on later ones. Use training.samples = 'prefixes'."
        )
    return WindowSamples(histories, backbone.max_length, config.targets_of(backbone.max_length))


def make_batch(
    samples: Samples,
    objective: Objective | None,
    indices: Indices,
    rng: np.random.Generator,
    teacher: Teacher | None = None,
) -> Batch:
    """Return samples `[B]` as one batch, with what objective and teacher add; `rng` draws what is random.

    Args:
        samples: all of them.
        objective: compares further views; None for none.
        indices: which of them.
        rng: draws what is random.
        teacher: knows what is probable at the positions with a target; None for none.
    """
    batch = samples.batch(indices, rng)
    if teacher is not None:
        places = samples.target_places(indices).ravel()                      # [B * T]
        batch = replace(batch, teacher=teacher.at(places[places >= 0]))
    if objective is None:
        return batch
    views = objective.views(samples, indices, rng)
    return replace(batch, views=tuple(torch.from_numpy(view) for view in views))
