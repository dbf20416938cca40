"""Sparse updates of item vectors, against the dense gradient and torch's Adam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.objectives import OBJECTIVES
from mltfr.training import Checkpoints, Interrupted, TrainingConfig, load_checkpoint, train
from mltfr.training.optim import SPARSE_FROM, LazyAdam, clip_sparse_grad_norm_, uses_sparse_updates
from mltfr.training.samples import make_batch, make_samples
from mltfr.training.step import TrainingLoss
from support.stopping import StopAt

ITEMS = 90
SAMPLED = ["bce", "bpr", "gbce", "sampled_softmax"]
_random = np.random.default_rng(0)
HISTORIES = Histories.from_sequences([_random.integers(1, ITEMS - 20, 6).tolist() for _ in range(40)])
COUNTS = torch.from_numpy(np.bincount(HISTORIES.items, minlength=ITEMS + 1))


def make_loss(name="sampled_softmax", **settings):
    entry = LOSSES.get(name)
    more = {} if name == "cross_entropy" else {"negatives": 4}
    return entry.cls(entry.config(name=name, **more, **settings), COUNTS)


def build(backbone="sasrec", hides_items=False, **settings):
    torch.manual_seed(0)
    entry = BACKBONES.get(backbone)
    config = entry.config(name=backbone, hidden=16, heads=2, max_length=6, dropout=0.0, **settings)
    return SequentialModel(ITEMS, entry.cls(config), hides_items=hides_items)


def gradients(sparse, loss, backbone="sasrec", objective=None, **settings):
    """Return the loss and every gradient of one step, dense, and which of them were sparse."""
    model = build(backbone, objective is not None and objective.hides_items, **settings)
    step = TrainingLoss(model, make_loss(loss), objective, sparse)
    random = np.random.default_rng(1)
    samples = make_samples(TrainingConfig(), model, HISTORIES)
    batch = make_batch(samples, objective, np.arange(12), random)
    torch.manual_seed(2)
    value = step(batch)
    value.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return value, {n: g.to_dense() for n, g in found.items()}, [n for n, g in found.items() if g.is_sparse]


@pytest.mark.parametrize(
    ("backbone", "settings"), [("sasrec", {}), ("bert4rec", {}), ("bert4rec", {"item_dropout": 0.5})]
)
@pytest.mark.parametrize("loss", SAMPLED)
def test_the_sparse_gradient_is_the_dense_one(loss, backbone, settings):
    value, sparse, which = gradients(True, loss, backbone, **settings)
    wanted, dense, nothing = gradients(False, loss, backbone, **settings)
    assert torch.equal(value, wanted)
    assert (which, nothing) == (["item_embedding.weight"], [])
    for name in dense:
        torch.testing.assert_close(sparse[name], dense[name], rtol=1e-4, atol=1e-7)
    assert (sparse["item_embedding.weight"][0] == 0).all()


@pytest.mark.parametrize("name", ["cl4srec", "duorec"])
def test_an_objective_keeps_the_gradient_sparse(name):
    entry = OBJECTIVES.get(name)
    objective = entry.cls(entry.config(name=name), ITEMS)
    value, sparse, which = gradients(True, "bce", objective=objective)
    wanted, dense, _ = gradients(False, "bce", objective=objective)
    assert torch.equal(value, wanted)
    assert which == ["item_embedding.weight"]
    for parameter in dense:
        torch.testing.assert_close(sparse[parameter], dense[parameter], rtol=1e-4, atol=1e-6)


def test_a_loss_over_all_items_has_no_sparse_step():
    with pytest.raises(ValueError, match="CrossEntropy reads all item vectors"):
        TrainingLoss(build(), make_loss("cross_entropy"), None, True)


@pytest.mark.parametrize(
    ("steps", "betas"),
    [(30, (0.9, 0.999)), (500, (0.9, 0.999)), (500, (0.9, 0.98)), (200, (0.5, 0.9)), (99, (0.0, 0.99))],
)
def test_what_is_read_is_what_adam_would_have(steps, betas):
    """The slow way: torch's Adam over the dense gradient. Rates fall; some rows rest for hundreds of steps."""
    torch.manual_seed(3)
    embedding = nn.Embedding(50, 8, padding_idx=0, sparse=True)
    bias, other = nn.Parameter(torch.zeros(8)), nn.Parameter(torch.zeros(8))
    start = embedding.weight.detach().clone()
    dense = nn.Parameter(start.clone())
    adam = torch.optim.Adam([dense, other], lr=0.01, betas=betas)
    rows = LazyAdam([embedding.weight, bias], lr=0.01, betas=betas, fused=True)
    rows.track(embedding)
    for step in range(steps):
        for group in (*adam.param_groups, *rows.param_groups):
            group["lr"] = 0.01 * (1 - step / 1000)
        codes = torch.randint(1, 6 if step % 7 else 45, (3,))        # with repetitions
        weights = torch.randn(3, 8)
        read = embedding(codes)
        torch.testing.assert_close(read, dense[codes], rtol=1e-4, atol=2e-5)
        rows.zero_grad()
        adam.zero_grad()
        ((read + bias).sigmoid() * weights).sum().backward()
        ((dense[codes] + other).sigmoid() * weights).sum().backward()
        rows.step()
        adam.step()
    rested = (embedding.weight != dense).any(1)
    assert rested[1:].any() or not betas[0]                          # some wait to be read
    rows.detach()
    torch.testing.assert_close(embedding.weight, dense, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(bias, other)
    assert torch.equal(embedding.weight[45:], start[45:])
    assert torch.equal(embedding.weight[0], start[0])
    assert not embedding._forward_pre_hooks
    assert (dense - start)[1:6].abs().max() > 0.02


@pytest.mark.parametrize("largest", [0.5, 1e6])
def test_a_sparse_gradient_is_clipped_as_the_dense_one(largest):
    torch.manual_seed(5)
    values, bias = torch.randn(3, 4), torch.randn(7)
    sparse, dense = ([nn.Parameter(torch.zeros(6, 4)), nn.Parameter(torch.zeros(7))] for _ in range(2))
    gradient = torch.sparse_coo_tensor([[1, 3, 1]], values, (6, 4), check_invariants=True)
    sparse[0].grad, sparse[1].grad = gradient, bias.clone()
    dense[0].grad, dense[1].grad = gradient.to_dense(), bias.clone()
    clip_sparse_grad_norm_(sparse, largest)
    torch.nn.utils.clip_grad_norm_(dense, largest)
    for got, wanted in zip(sparse, dense, strict=True):
        torch.testing.assert_close(got.grad.to_dense(), wanted.grad)


def test_which_updates_suit():
    sampled, full = make_loss(), make_loss("cross_entropy")
    auto, sparse = TrainingConfig(), TrainingConfig(advanced={"item_updates": "sparse"})
    assert [uses_sparse_updates(auto, sampled, n) for n in (SPARSE_FROM - 1, SPARSE_FROM)] == [False, True]
    assert not uses_sparse_updates(auto, full, 10**7)
    assert not uses_sparse_updates(TrainingConfig(weight_decay=0.1), sampled, 10**7)
    assert not uses_sparse_updates(TrainingConfig(advanced={"item_updates": "dense"}), sampled, 10**7)
    assert uses_sparse_updates(sparse, sampled, 5)
    assert uses_sparse_updates(TrainingConfig(shards=4), sampled, SPARSE_FROM)
    with pytest.raises(ConfigError, match=r"CrossEntropy moves every item vector .* loss.name = 'sampled_softmax'"):
        uses_sparse_updates(sparse, full, 5)
    with pytest.raises(ConfigError, match=r"training.weight_decay \(0.1\) moves them all"):
        uses_sparse_updates(TrainingConfig(advanced={"item_updates": "sparse"}, weight_decay=0.1), sampled, 5)
    lasting = {"betas": [0.9, 0.81]}  # the updates of a resting row never end
    assert not uses_sparse_updates(TrainingConfig(**lasting), sampled, 10**7)
    assert uses_sparse_updates(TrainingConfig(betas=[0.9, 0.98]), sampled, 10**7)
    with pytest.raises(ConfigError, match=r"training.betas is \[0.9, 0.81\]. Raise the second one"):
        uses_sparse_updates(TrainingConfig(advanced={"item_updates": "sparse"}, **lasting), sampled, 5)


def run(scores, updates="sparse", shards=1, **more):
    given = iter(scores)
    config = TrainingConfig(batch_size=8, device="cpu", epochs=3, advanced={"item_updates": updates}, shards=shards)
    metric = lambda model: {"ndcg@10": next(given), "hr@10": 0.0}  # noqa: E731
    return train(build, make_loss(), HISTORIES, metric, config, seed=0, **more)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 3])
def test_a_sparse_training_is_the_dense_one(shards):
    sparse, dense = (run([0.1, 0.2, 0.3], updates, shards) for updates in ("sparse", "dense"))
    for record, wanted in zip(sparse.history, dense.history, strict=True):
        assert record["loss"] == pytest.approx(wanted["loss"], rel=1e-4)
    for name, value in dense.model.state_dict().items():
        torch.testing.assert_close(sparse.model.state_dict()[name], value, rtol=1e-2, atol=1e-3)
    moved = (sparse.model.item_embedding.weight != build().item_embedding.weight).any(1)
    assert moved[1 : ITEMS - 20].all()
    assert not moved[0]


def test_validation_sees_every_row_up_to_date():
    seen = []

    def metric(model):
        seen.append(model.item_embedding.weight.detach().clone())
        return {"ndcg@10": len(seen), "hr@10": 0.0}

    for updates in ("sparse", "dense"):
        config = TrainingConfig(batch_size=8, device="cpu", epochs=1, advanced={"item_updates": updates})
        train(build, make_loss(), HISTORIES, metric, config, seed=0)
    torch.testing.assert_close(*seen, rtol=1e-3, atol=1e-4)


def test_a_sparse_training_resumes_to_the_same_bits(tmp_path):
    callback = StopAt(3, epoch=2)
    straight = run([0.1, 0.2, 0.3])
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted):
        run([0.1], checkpoints=checkpoints, callback=callback, stop=callback.stop)
    resumed = run([0.2, 0.3], checkpoints=checkpoints, checkpoint=load_checkpoint(checkpoints, ""))
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert not straight.model.item_embedding.sparse
    assert not straight.model.item_embedding._forward_pre_hooks
