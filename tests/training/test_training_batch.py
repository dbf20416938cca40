"""A step on an accelerator needs no synchronisation: the batch brings the index of its targets."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mltfr.backbones import BACKBONES
from mltfr.losses import LOSSES
from mltfr.losses import cross_entropy as full
from mltfr.model import SequentialModel
from mltfr.training.batch import Batch
from mltfr.training.step import TrainingLoss

ITEMS = 12
META = torch.device("meta")
"""A device without values: what needs one (a boolean index, `bool`, `item`) fails on it."""


def make_step(backbone: str = "sasrec", loss: str = "cross_entropy") -> TrainingLoss:
    encoder, criterion = BACKBONES.get(backbone), LOSSES.get(loss)
    model = SequentialModel(ITEMS, encoder.cls(encoder.config(hidden=8, max_length=6)))
    return TrainingLoss(model, criterion.cls(criterion.config(), torch.ones(ITEMS + 1, dtype=torch.int64)))


def on_meta(batch: Batch) -> Batch:
    index = None if batch.target_index is None else batch.target_index.to(META)
    return Batch(batch.items.to(META), batch.targets.to(META), target_index=index)


def make_batch() -> Batch:
    random = np.random.default_rng(0)
    items = random.integers(1, ITEMS + 1, (5, 6))
    items[:3, :2] = 0
    targets = random.integers(1, ITEMS + 1, (5, 6)) * (items > 0)
    return Batch(torch.from_numpy(items), torch.from_numpy(targets))


@pytest.mark.parametrize(
    ("backbone", "loss"),
    [(name, "cross_entropy") for name in BACKBONES.names()] + [("sasrec", name) for name in LOSSES.names()],
)
def test_nothing_in_a_step_asks_for_a_value(backbone: str, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # torch knows none of this device
    step = make_step(backbone, loss).to(META)
    value = step(on_meta(make_batch().to(torch.device("cpu"))))
    value.backward()
    assert step.model.item_embedding.weight.grad is not None


def test_the_test_would_notice() -> None:
    batch = make_batch()
    with pytest.raises(NotImplementedError):
        make_step().to(META)(on_meta(batch))


def test_an_index_from_the_host_gives_the_same_step() -> None:
    step = make_step().eval()
    batch = make_batch()
    moved = batch.to(torch.device("cpu"))
    assert moved.target_index is not None
    assert moved.target_index.tolist() == np.flatnonzero(batch.targets.numpy()).tolist()
    found: list[list[Tensor]] = []
    for each in (batch, moved):
        step.zero_grad()
        value = step(each)
        value.backward()
        found.append([value.detach(), *(p.grad.clone() for p in step.parameters() if p.grad is not None)])
    hidden = step.model.encode(batch.items)
    by_mask = step.loss(hidden[batch.targets > 0], batch.targets[batch.targets > 0], step.model.scoring_matrix())
    assert torch.equal(found[0][0], by_mask.detach())
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_an_accelerators_cross_entropy_is_that_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    step = make_step().eval()
    batch = make_batch()
    here = step(batch)
    monkeypatch.setattr(full, "_may_overflow", lambda *_: True)  # what it is where the device is no CPU
    torch.testing.assert_close(step(batch), here, rtol=1e-6, atol=0)


@pytest.mark.parametrize("backbone", BACKBONES.names())
@pytest.mark.parametrize("targets", ["every position", "the last item"])
def test_a_batch_padded_to_a_bucket_gives_the_same_step(backbone: str, targets: str) -> None:
    step = make_step(backbone).eval()
    batch = make_batch()
    first = 2 if targets == "every position" else 5
    batch = replace(batch, items=batch.items[:, 2:], targets=batch.targets[:, first:])
    found: list[list[Tensor]] = []
    for each in (batch, batch.padded_to_bucket(6)):
        step.zero_grad()
        value = step(each)
        value.backward()
        found.append([value.detach(), *(p.grad.clone() for p in step.parameters() if p.grad is not None)])
    for plain, padded in zip(*found, strict=True):
        torch.testing.assert_close(padded, plain, rtol=1e-4, atol=1e-6)


def test_buckets_have_few_shapes() -> None:
    random = np.random.default_rng(1)
    shapes = set()
    for length in range(1, 51):
        items = torch.from_numpy(random.integers(1, ITEMS + 1, (16, length)))
        items *= torch.arange(length) >= torch.from_numpy(random.integers(0, length, (16, 1)))
        batch = Batch(items, items.roll(-1, 1) * (torch.arange(length) < length - 1)).padded_to_bucket(50)
        assert batch.target_index is not None
        assert batch.target_weight is not None
        assert torch.equal(batch.items[:, -length:], items)
        assert not batch.items[:, :-length].any()
        flat = batch.targets.flatten()
        assert torch.equal(flat[batch.target_index] > 0, batch.target_weight > 0)
        assert len(batch.target_index.unique()) == len(batch.target_index)
        assert batch.target_weight.sum() == (flat > 0).sum()
        assert not len(batch.target_index) % -(-flat.numel() // 8) or len(batch.target_index) == flat.numel()
        shapes.add((batch.items.shape, batch.target_index.shape))
    assert {shape[0][1] for shape in shapes} == {8, 16, 24, 32, 40, 48, 50}


def test_a_window_keeps_few_positions_with_a_target() -> None:
    items = torch.ones(4, 21, dtype=torch.long)
    widths = {targets: Batch(items, items[:, :targets]).padded_to_bucket(50).targets.shape[1] for targets in (1, 5, 8)}
    assert widths == {1: 1, 5: 8, 8: 8}
    assert Batch(items, items).padded_to_bucket(50).targets.shape[1] == 24
