"""Who asks at a refresh: a sample of what training reads chooses, and unseen histories tell how well."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mltfr.interactions import Split
from mltfr.interactions.collate import Codes, pad_right_aligned
from mltfr.model import SequentialModel
from mltfr.training.samples import Samples

UNSEEN = 256
"""Unseen histories that are drawn."""


def asking_codes(model: SequentialModel, samples: Samples, size: int, random: np.random.Generator) -> Iterator[Tensor]:
    """Return batches of codes `[B, L]` whose queries choose the shortlists, of the whole log; items ask alone.

    Args:
        model: its fusion says how many at most (`refresh_histories`).
        samples: the training samples.
        size: samples in a batch.
        random: draws them.
    """
    most = 0 if model.fusion is None else model.fusion.refresh_histories
    if model.corrects_items:
        items = random.permutation(model.items)[:most] + 1
        return iter(torch.split(torch.from_numpy(items).unsqueeze(1), size))
    count = min(most, len(samples))
    chosen = np.sort(random.choice(len(samples), count, replace=False))
    return (samples.batch(chunk, random).items for chunk in np.array_split(chosen, -(-count // size)))


def unseen_histories(split: Split, max_length: int, seed: int) -> Codes:
    """Return some histories from which validation predicts, right-aligned, int64 `[U, L]`.

    Args:
        split: the split; its validation examples are drawn from.
        max_length: items of a history that are read, at most.
        seed: of what is drawn.
    """
    examples = split.validation
    chosen = np.random.default_rng(seed).choice(len(examples), min(UNSEEN, len(examples)), replace=False)
    pairs = zip(examples.user[chosen], examples.cut[chosen], strict=True)
    return pad_right_aligned([split.histories[user][:cut] for user, cut in pairs], max_length)
