"""Steps that touch only their own item vectors, against the dense gradient and against one Adam a row."""

from __future__ import annotations

from threading import Event

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
from mltfr.training import Checkpoints, Interrupted, Reporter, TrainingConfig, load_saved, train
from mltfr.training.optimizer import SPARSE_FROM, sparse_items
from mltfr.training.row_adam import RowAdam, clip_rows
from mltfr.training.samples import Views, make_samples
from mltfr.training.step import TrainingStep

ITEMS = 90
SAMPLED = ["bce", "bpr", "gbce", "sampled_softmax"]
_random = np.random.default_rng(0)
HISTORIES = Histories.from_sequences([_random.integers(1, ITEMS - 20, 6).tolist() for _ in range(40)])
COUNTS = torch.from_numpy(np.bincount(HISTORIES.items, minlength=ITEMS + 1))


def make_loss(name="sampled_softmax", **settings):
    entry = LOSSES.get(name)
    more = {} if name == "cross_entropy" else {"negatives": 4}
    return entry.cls(entry.config(name=name, **more, **settings), COUNTS)


def build(backbone="sasrec", hides_items=False):
    torch.manual_seed(0)
    entry = BACKBONES.get(backbone)
    config = entry.config(name=backbone, hidden=16, heads=2, max_length=6, dropout=0.0)
    return SequentialModel(ITEMS, entry.cls(config), hides_items=hides_items)


def gradients(sparse, loss, backbone="sasrec", objective=None):
    """Return the loss and every gradient of one step, dense, and which of them were sparse."""
    model = build(backbone, objective is not None and objective.hides_items)
    step = TrainingStep(model, make_loss(loss), objective, sparse)
    random = np.random.default_rng(1)
    samples = make_samples(TrainingConfig(), model, HISTORIES)
    batch = Views(objective, samples).add(samples.batch(np.arange(12), random), np.arange(12), random)
    torch.manual_seed(2)
    value = step(batch.items, batch.targets, *batch.views)
    value.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return value, {n: g.to_dense() for n, g in found.items()}, [n for n, g in found.items() if g.is_sparse]


@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec"])
@pytest.mark.parametrize("loss", SAMPLED)
def test_the_sparse_gradient_is_the_dense_one(loss, backbone):
    value, sparse, which = gradients(True, loss, backbone)
    wanted, dense, nothing = gradients(False, loss, backbone)
    assert torch.equal(value, wanted)
    assert (which, nothing) == (["item_vectors.weight"], [])
    for name in dense:
        torch.testing.assert_close(sparse[name], dense[name], rtol=1e-4, atol=1e-7)
    assert (sparse["item_vectors.weight"][0] == 0).all()


@pytest.mark.parametrize("name", ["cl4srec", "duorec"])
def test_an_objective_keeps_the_gradient_sparse(name):
    entry = OBJECTIVES.get(name)
    objective = entry.cls(entry.config(name=name), ITEMS)
    value, sparse, which = gradients(True, "bce", objective=objective)
    wanted, dense, _ = gradients(False, "bce", objective=objective)
    assert torch.equal(value, wanted)
    assert which == ["item_vectors.weight"]
    for parameter in dense:
        torch.testing.assert_close(sparse[parameter], dense[parameter], rtol=1e-4, atol=1e-6)


def test_a_loss_over_all_items_has_no_sparse_step():
    with pytest.raises(ValueError, match="CrossEntropy reads all item vectors"):
        TrainingStep(build(), make_loss("cross_entropy"), None, True)


def test_every_row_moves_as_its_own_adam_would_move_it():
    """The slow reference: one torch Adam for each row, stepped only when its row is touched."""
    torch.manual_seed(3)
    table, bias = nn.Parameter(torch.randn(12, 5)), nn.Parameter(torch.randn(4))
    rows = [nn.Parameter(row.clone()) for row in table.detach()]
    clocks = [torch.optim.Adam([row], lr=0.05) for row in rows]
    other = nn.Parameter(bias.detach().clone())
    other_adam = torch.optim.Adam([other], lr=0.05)
    optimizer = RowAdam([table, bias], lr=0.05, fused=True)
    for _ in range(40):
        touched = torch.randint(0, 10, (7,))                     # with repetitions; rows 10 and 11 rest
        values = torch.randn(7, 5)
        table.grad = torch.sparse_coo_tensor(touched.unsqueeze(0), values, table.shape, check_invariants=True)
        bias.grad = torch.randn(4)
        other.grad = bias.grad.clone()
        optimizer.step()
        other_adam.step()
        for row in touched.unique().tolist():
            rows[row].grad = values[touched == row].sum(0)
            clocks[row].step()
    torch.testing.assert_close(table.detach(), torch.stack([row.detach() for row in rows]), rtol=1e-5, atol=1e-5)
    assert torch.equal(table[10:], torch.stack(rows[10:]))
    torch.testing.assert_close(bias, other)


def test_where_every_row_is_touched_it_is_adam():
    torch.manual_seed(4)
    start, optimizers, tables = torch.randn(6, 3), [], []
    for kind in (RowAdam, torch.optim.Adam):
        tables.append(nn.Parameter(start.clone()))
        optimizers.append(kind([tables[-1]], lr=0.01))
    for _ in range(20):
        gradient = torch.randn(6, 3)
        tables[0].grad, tables[1].grad = gradient.to_sparse(1), gradient
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(tables[0], tables[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("largest", [0.5, 1e6])
def test_a_sparse_gradient_is_clipped_as_the_dense_one(largest):
    torch.manual_seed(5)
    values, bias = torch.randn(3, 4), torch.randn(7)
    sparse, dense = ([nn.Parameter(torch.zeros(6, 4)), nn.Parameter(torch.zeros(7))] for _ in range(2))
    gradient = torch.sparse_coo_tensor([[1, 3, 1]], values, (6, 4), check_invariants=True)
    sparse[0].grad, sparse[1].grad = gradient, bias.clone()
    dense[0].grad, dense[1].grad = gradient.to_dense(), bias.clone()
    clip_rows(sparse, largest)
    torch.nn.utils.clip_grad_norm_(dense, largest)
    for got, wanted in zip(sparse, dense, strict=True):
        torch.testing.assert_close(got.grad.to_dense(), wanted.grad)


def test_which_updates_suit():
    sampled, full = make_loss(), make_loss("cross_entropy")
    auto, sparse = TrainingConfig(), TrainingConfig(item_updates="sparse")
    assert [sparse_items(auto, sampled, n) for n in (SPARSE_FROM - 1, SPARSE_FROM)] == [False, True]
    assert not sparse_items(auto, full, 10**7)
    assert not sparse_items(TrainingConfig(weight_decay=0.1), sampled, 10**7)
    assert not sparse_items(TrainingConfig(item_updates="dense"), sampled, 10**7)
    assert sparse_items(sparse, sampled, 5)
    with pytest.raises(ConfigError, match=r"CrossEntropy moves every item vector .* loss.name = 'sampled_softmax'"):
        sparse_items(sparse, full, 5)
    with pytest.raises(ConfigError, match=r"training.weight_decay \(0.1\) moves them all"):
        sparse_items(TrainingConfig(item_updates="sparse", weight_decay=0.1), sampled, 5)


def run(scores, **more):
    given = iter(scores)
    config = TrainingConfig(batch_size=8, device="cpu", epochs=3, item_updates="sparse")
    metric = lambda model: {"ndcg@10": next(given), "hr@10": 0.0}  # noqa: E731
    return train(build, make_loss(), HISTORIES, metric, config, seed=0, **more)


def test_a_sparse_training_resumes_to_the_same_bits(tmp_path):
    stop = Event()

    class StopAt(Reporter):
        def batch_done(self, epoch, batch):
            if (epoch, batch) == (2, 3):
                stop.set()

    straight = run([0.1, 0.2, 0.3])
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted):
        run([0.1], checkpoints=checkpoints, reporter=StopAt(), stop=stop)
    resumed = run([0.2, 0.3], checkpoints=checkpoints, saved=load_saved(checkpoints, ""))
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert not straight.model.item_vectors.sparse


def test_it_learns_and_leaves_untouched_items_alone():
    trained = run([0.1, 0.2, 0.3])
    losses = [record["loss"] for record in trained.history]
    assert losses[-1] < losses[0]
    moved = (trained.model.item_vectors.weight != build().item_vectors.weight).any(1)
    assert moved[1 : ITEMS - 20].all()
    assert not moved[0]
