"""Training samples: what a batch is made of, for every way of training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import Histories
from mltfr.interactions.collate import pad_right_aligned
from mltfr.model import SequentialModel
from mltfr.objectives import Objective, Pool
from mltfr.training.config import TrainingConfig
from mltfr.training.places import Differences, Numbers, Prefixes
from mltfr.training.places import Indices as Indices
from mltfr.training.step import wanted_places

LENGTHS, SHARES = 8, 8
"""What a filled batch's length is a multiple of, and the inverse of what its number of places is a multiple of."""


@dataclass(frozen=True)
class Batch:
    """One step's data.

    Attributes:
        items: int64 `[B, L]`, right-aligned codes.
        targets: int64 `[B, T]`, the item wanted at each of the last `T <= L` positions, 0 for none.
        views: int64 `[B, L']` each, what the training objective looks at besides.
        wanted: int64 `[P]`, `wanted_places` of the targets, and in a filled batch some places more; None while
            nobody has looked for them.
        counted: float `[P]`, 1 at a wanted place with a target, else 0; None where all have one.
    """

    items: Tensor
    targets: Tensor
    views: tuple[Tensor, ...] = ()
    wanted: Tensor | None = None
    counted: Tensor | None = None

    def filled(self, most: int) -> Batch:
        """Return the batch with more padding and more places, so that few shapes occur.

        The length becomes a multiple of 8, as far as `most` allows, and the places one of an eighth of the targets'.
        """
        length = min(-(-self.items.shape[1] // LENGTHS) * LENGTHS, max(most, self.items.shape[1]))
        items = _widened(self.items, length)
        targets = self.targets if self.targets.shape[1] == 1 else _widened(self.targets, length)
        flat = targets.flatten()                                                     # [B * T]
        share = -(-len(flat) // SHARES)
        wanted, others = wanted_places(targets), (flat == 0).nonzero().squeeze(1)
        missing = min(-(-len(wanted) // share) * share, len(flat)) - len(wanted)
        wanted = torch.cat([wanted, others[:missing]])                               # [P]
        return replace(self, items=items, targets=targets, wanted=wanted, counted=(flat[wanted] > 0).float())

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device, so that the step on an accelerator has nothing to wait for."""
        wanted = wanted_places(self.targets) if self.wanted is None else self.wanted
        counted = None if self.counted is None else _moved(self.counted, device)
        views = tuple(_moved(view, device) for view in self.views)
        return Batch(_moved(self.items, device), _moved(self.targets, device), views, _moved(wanted, device), counted)


class Samples(ABC):
    """All training samples of a log, addressed by number.

    Sample `n` reads `items[start[n]:stop[n]]` of the flat training histories.
    """

    def __init__(self, histories: Histories, start: Numbers, stop: Numbers) -> None:
        if len(start) == 0:
            raise DataError(
                "No user has two training interactions, so there is nothing to train on. "
                "Give a log with longer histories."
            )
        self.items = histories.items
        self.start = start
        self.stop = stop

    def __len__(self) -> int:
        return len(self.start)

    @property
    def lengths(self) -> Numbers:
        """Interactions that each sample reads, int64 `[N]`."""
        return Differences(self.stop, self.start)

    def _read(self, indices: Indices, drop_last: int = 0) -> list[npt.NDArray[np.int32]]:
        starts, stops = self.start[indices].tolist(), (self.stop[indices] - drop_last).tolist()
        return [self.items[start:stop] for start, stop in zip(starts, stops, strict=True)]

    @abstractmethod
    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return the samples called `indices` as one batch; `rng` draws what is random in it."""

    @abstractmethod
    def pool(self) -> Pool:
        """Return what the samples read, each with its last target, for a training objective."""


class PrefixSamples(Samples):
    """Every prefix of a history is a sample, and its next item the only target."""

    def __init__(self, histories: Histories, max_length: int) -> None:
        places = Prefixes(histories.offsets, max_length)
        super().__init__(histories, places.start, places.stop)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return prefixes `[B, L]` and their next items `[B, 1]`."""
        targets = self.items[self.stop[indices]].astype(np.int64)
        items = pad_right_aligned(self._read(indices), int(self.lengths[indices].max()))
        return Batch(torch.from_numpy(items), torch.from_numpy(targets).unsqueeze(1))

    def pool(self) -> Pool:
        """Return the prefixes."""
        everything = np.arange(len(self))
        return Pool(self.items, self.start[everything], self.stop[everything])


class PositionSamples(Samples):
    """A history is a sample, and every position's next item a target; long ones give several windows."""

    def __init__(self, histories: Histories, max_length: int) -> None:
        start, stop = _windows(histories, max_length + 1, overlap=1)
        super().__init__(histories, start, stop)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return histories `[B, L]` and the next item of every position `[B, L]`."""
        longest = int(self.lengths[indices].max()) - 1
        items = pad_right_aligned(self._read(indices, drop_last=1), longest)
        targets = pad_right_aligned([sequence[1:] for sequence in self._read(indices)], longest)
        return Batch(torch.from_numpy(items), torch.from_numpy(targets))

    def pool(self) -> Pool:
        """Return the histories without their last items."""
        everything = np.arange(len(self))
        return Pool(self.items, self.start[everything], self.stop[everything] - 1)


class MaskedSamples(Samples):
    """A history is a sample; some items are hidden behind the mask token and are the targets.

    With probability one half only the last item is masked, which is how the model is read
    (Sun et al. 2019, section 3.6, adds such samples).
    """

    def __init__(self, histories: Histories, max_length: int, mask_token: int, ratio: float) -> None:
        start, stop = _windows(histories, max_length, overlap=0)
        super().__init__(histories, start, stop)
        self.mask_token = mask_token
        self.ratio = ratio

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return partly masked histories `[B, L]` and the items behind the masks `[B, L]`."""
        items = pad_right_aligned(self._read(indices), int(self.lengths[indices].max()))
        masked = rng.random(items.shape) < self.ratio
        only_last = rng.random(len(items)) < 0.5
        masked[only_last] = False
        masked &= items != 0
        masked[only_last | ~masked.any(axis=1), -1] = True       # every sample has a target
        targets = np.where(masked, items, 0)
        return Batch(torch.from_numpy(np.where(masked, self.mask_token, items)), torch.from_numpy(targets))

    def pool(self) -> Pool:
        """Refuse: a masked history has no item that follows it.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "A training objective needs sequences with an item that follows, and a backbone that is trained by "
            "masking has none. Set objective.name = 'none', or choose a causal backbone such as 'sasrec'."
        )


class Views:
    """Adds to a batch what a training objective looks at besides.

    Args:
        objective: None where there is none.
        samples: where the batches come from.

    Raises:
        ConfigError: the samples do not suit any objective.
    """

    def __init__(self, objective: Objective | None, samples: Samples) -> None:
        self.objective = objective
        self.pool = samples.pool() if objective is not None else None

    def add(self, batch: Batch, indices: Indices, rng: np.random.Generator) -> Batch:
        """Return the batch of the samples `indices` with its views; `rng` draws what is random in them."""
        if self.objective is None or self.pool is None:
            return batch
        views = self.objective.views(self.pool, indices, rng)
        return replace(batch, views=tuple(torch.from_numpy(view) for view in views))


def make_samples(config: TrainingConfig, model: SequentialModel, histories: Histories) -> Samples:
    """Return the training samples that suit a model.

    Raises:
        ConfigError: a backbone or a fusion that sees later positions would be trained to predict what it sees.
        DataError: no history is long enough.
    """
    backbone = model.backbone
    if model.mask_token is not None:
        return MaskedSamples(histories, backbone.max_length, model.mask_token, config.mask_ratio)
    if config.samples == "prefixes":
        return PrefixSamples(histories, backbone.max_length)
    if not backbone.is_causal:
        raise ConfigError(
            f"training.samples = 'positions' lets {type(backbone).__name__} see its targets, since its "
            "positions see later ones. Use training.samples = 'prefixes'."
        )
    if model.fusion is not None and model.fusion.needs_prefixes:
        raise ConfigError(
            f"training.samples = 'positions' lets {type(model.fusion).__name__} see its targets, since what it adds "
            "to a position depends on later items with these settings. Use training.samples = 'prefixes'."
        )
    return PositionSamples(histories, backbone.max_length)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":  # a copy from any other memory waits for the device
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _widened(codes: Tensor, length: int) -> Tensor:  # [B, L] -> [B, length]
    return pad(codes, (length - codes.shape[1], 0))


def _windows(histories: Histories, size: int, overlap: int) -> tuple[Indices, Indices]:
    """Cut histories, from their ends, into windows of `size` that share `overlap` items."""
    lengths = histories.lengths
    step = size - overlap
    count = np.maximum(1, -(-(lengths - overlap) // step))       # windows of every user
    user = np.repeat(np.arange(len(histories)), count)
    number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    stop = histories.offsets[1:][user] - number * step
    start = np.maximum(histories.offsets[:-1][user], stop - size)
    keep = stop - start >= 2
    return start[keep], stop[keep]
