from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError, MltfrError, RunError
from mltfr.interactions import Histories
from mltfr.losses import LOSSES
from mltfr.model import SequentialModel
from mltfr.storage.sealed import sealed, unsealed
from mltfr.training import Callback, Checkpoints, Console, Interrupted, TrainingConfig, load_checkpoint, train
from mltfr.training.checkpoint import TrainerState
from mltfr.training.distributed import make_process_group
from mltfr.training.loop import Round
from mltfr.training.samples import PrefixSamples
from mltfr.training.step import TrainingLoss
from support.stopping import StopAt

ITEMS = 12
HISTORIES = Histories.from_sequences([[(start + step) % ITEMS + 1 for step in range(6)] for start in range(40)])
SMALL = {"batch_size": 32, "device": "cpu"}


def build():
    torch.manual_seed(0)
    entry = BACKBONES.get("sasrec")
    return SequentialModel(ITEMS, entry.cls(entry.config(hidden=16, heads=2, max_length=6, dropout=0.1)))


def loss():
    entry = LOSSES.get("cross_entropy")
    counts = np.bincount(HISTORIES.items, minlength=ITEMS + 1)
    return entry.cls(entry.config(), torch.from_numpy(counts))


def run(scores, **more):
    """Train with validation scores that are given in advance, one an epoch."""
    given = iter(scores)
    metric = lambda model: {"ndcg@10": next(given), "hr@10": 0.0}  # noqa: E731
    config = TrainingConfig(**SMALL | more.pop("config", {}))
    return train(build, loss(), HISTORIES, metric, config, seed=0, **more)


def test_it_learns():
    trained = run([0.1, 0.2, 0.3, 0.4, 0.5], config={"epochs": 5, "learning_rate": 0.01})
    losses = [record["loss"] for record in trained.history]
    assert losses[-1] < 0.5 * losses[0]
    items = torch.tensor([[3, 4, 5]])
    scores = trained.model.eval().user_embedding(items) @ trained.model.scoring_matrix().T
    assert scores[0, 1:].argmax().item() + 1 == 6


def test_it_keeps_the_best_epoch_and_stops_when_patience_ends():
    weights = {}

    class Watch(Callback):
        def on_epoch_end(self, record):
            weights[record["epoch"]] = None

    trained = run([0.1, 0.5, 0.2, 0.3, 0.4, 0.9], config={"epochs": 6, "patience": 3}, callback=Watch())
    assert (trained.best_epoch, trained.validation) == (2, 0.5)
    assert list(weights) == [1, 2, 3, 4, 5]
    best = run([0.1, 0.5], config={"epochs": 2})
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, best.model.state_dict()[name])


def test_of_equal_epochs_the_first_counts_and_a_flat_score_ends_training():
    trained = run([0.5] * 9, config={"epochs": 9, "patience": 2})
    assert (trained.best_epoch, len(trained.history)) == (1, 3)


def test_a_resumed_training_keeps_the_best_weights_of_before(tmp_path):
    callback = StopAt(2, epoch=2)
    config = {"epochs": 3, "batch_size": 20}
    best = run([0.9], config={**config, "epochs": 1})
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted):
        run([0.9], config=config, checkpoints=checkpoints, callback=callback, stop=callback.stop)
    resumed = run([0.2, 0.3], config=config, checkpoints=checkpoints, checkpoint=load_checkpoint(checkpoints, ""))
    assert (resumed.best_epoch, resumed.validation) == (1, 0.9)
    for name, value in best.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_seed_round_epoch_and_purpose_each_give_other_random_numbers():
    from mltfr.training.epoch import BATCH, ORDER, epoch_generator

    keys = [(0, 1, 0, ORDER), (1, 1, 0, ORDER), (0, 2, 0, ORDER), (0, 1, 1, ORDER), (0, 1, 0, BATCH)]
    drawn = {int(epoch_generator(*key).integers(2**63)) for key in keys}
    assert len(drawn) == len(keys)


class Drawn(PrefixSamples):
    """Prefixes that write down what every batch is made of, and which random numbers it and dropout get."""

    def __init__(self):
        super().__init__(HISTORIES, 6)
        self.batches = []

    def batch(self, indices, rng):
        self.batches.append((tuple(indices.tolist()), rng.random(), torch.initial_seed()))
        return super().batch(indices, rng)


def test_no_round_and_no_epoch_draws_as_another():
    def draw(number):
        config, samples = TrainingConfig(**SMALL), Drawn()
        state, group = TrainerState(round=number), make_process_group(config)
        parts = TrainingLoss(build(), loss(), None, False), samples, lambda: {"ndcg@10": 0.5, "hr@10": 0.5}, config
        Round(group, *parts, epochs=2, state=state, seed=0).run()
        return [list(each) for each in zip(*samples.batches, strict=True)]

    (orders, numbers, seeds), second = draw(1), draw(2)
    assert [orders, numbers, seeds] == draw(1)
    half = len(orders) // 2
    assert orders[:half] != orders[half:]
    assert orders[:half] not in (second[0][:half], second[0][half:])
    assert len({*numbers, *second[1]}) == 4 * half
    assert {*seeds}.isdisjoint(second[2])


def test_validation_can_be_rarer_than_epochs():
    trained = run([0.2, 0.1, 0.3], config={"epochs": 5, "advanced": {"validate_every": 2}})
    assert [record["epoch"] for record in trained.history if "validation" in record] == [2, 4, 5]
    assert trained.best_epoch == 5


def test_small_bucketed_batches_see_every_sample():
    trained = run([0.1], config={"epochs": 1, "batch_size": 7})
    assert trained.history[0]["step"] == -(-40 * 5 // 7)


def test_a_diverging_loss_is_said_with_a_remedy():
    with pytest.raises(
        ConfigError, match=r"no longer a number in epoch 1. Lower training.learning_rate \(now 1e\+30\)"
    ):
        run([0.1] * 3, config={"epochs": 3, "learning_rate": 1e30, "gradient_clip": 0})


def test_a_missing_device_is_said():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="torch finds no such device here"):
        run([0.1], config={"device": "cuda"})


def test_a_stop_request_ends_the_step_and_resumes_to_the_same_bits(tmp_path):
    callback = StopAt(3, epoch=2)
    config = {"epochs": 3, "batch_size": 20}
    straight = run([0.1, 0.2, 0.3], config=config)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted):
        run([0.1, 0.2, 0.3], config=config, checkpoints=checkpoints, callback=callback, stop=callback.stop)
    saved = load_checkpoint(checkpoints, "")
    assert (saved.state.epoch, saved.state.batch, saved.state.best_epoch) == (1, 3, 1)
    assert saved.state.elapsed >= saved.state.history[0]["seconds"] + saved.state.seconds - 0.001
    resumed = run([0.2, 0.3], config=config, checkpoints=checkpoints, checkpoint=saved)
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert [r["loss"] for r in straight.history] == [r["loss"] for r in resumed.history]


@pytest.fixture
def interrupted(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    run([0.1], config={"epochs": 1}, checkpoints=checkpoints)
    return checkpoints


def test_a_checkpoint_of_something_else_is_refused(interrupted):
    with pytest.raises(RunError, match="made from other data, names or settings, or by other versions of mltfr"):
        load_checkpoint(interrupted, "another")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state | {"more": 1}, "unknown or missing: more"),
        (lambda state: {name: value for name, value in state.items() if name != "stale"}, "missing: stale"),
        (lambda state: state | {"epoch": "1"}, "valid integer"),
        (lambda state: state | {"history": None}, "history Input should be a valid array"),
        (lambda state: "epoch 1", "no JSON object"),
        (lambda state: [state], "no JSON object"),
        (lambda state: {name: value for name, value in state.items() if name != "fingerprint"}, "other versions"),
    ],
)  # fmt: skip
def test_a_damaged_state_is_one_clear_error(interrupted, change, reason):
    path = interrupted.folder / "state.json"
    changed = change(unsealed(json.loads(path.read_text())))
    path.write_text(json.dumps(sealed(changed) if isinstance(changed, dict) else changed))
    with pytest.raises(RunError, match=f"{reason}.*without --resume") as error:
        load_checkpoint(interrupted, "")
    assert "\n" not in str(error.value)


def test_no_checkpoint_holds_weights_that_have_diverged(tmp_path):
    """The weights turn into NaN in the middle of an epoch, though its loss was a number until then."""
    models = []

    class Poison(Callback):
        def on_batch_end(self, epoch, batch):
            if batch == 4:
                with torch.no_grad():
                    models[-1].item_embedding.weight.fill_(float("nan"))

    def keep():
        models.append(build())
        return models[-1]

    checkpoints = Checkpoints(tmp_path)
    config = TrainingConfig(**SMALL, epochs=1, advanced={"checkpoint_seconds": 0})
    with pytest.raises(ConfigError, match="no longer a number in epoch 1"):
        train(keep, loss(), HISTORIES, lambda model: {}, config, seed=0, checkpoints=checkpoints, callback=Poison())
    saved = load_checkpoint(checkpoints, "")
    assert saved.state.batch == 3
    assert all(tensor.isfinite().all() for name, tensor in saved.tensors.items() if name.startswith("model."))


def test_the_console_says_how_many_epochs_there_are_at_most(capsys):
    run([0.1, 0.2], config={"epochs": 2}, callback=Console())
    assert "epoch 2 of at most 2: loss" in capsys.readouterr().err


def test_a_terminal_shows_the_batches_of_all_epochs(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    callback = Console("demo")
    callback.on_round_start(1, 2, epochs=3, batches=2)
    for epoch in (1, 2):
        for batch in (1, 2):
            callback.on_batch_end(epoch, batch)
    callback.close()
    shown = capsys.readouterr().err
    assert "demo round 1 of 2, epoch 1 of at most 3" in shown
    assert "4/6" in shown


def test_bf16_trains_nearly_the_same():
    exact, mixed = (
        run([0.1] * 3, config={"epochs": 3, "precision": precision, "learning_rate": 0.01})
        for precision in ("32", "bf16")
    )
    assert mixed.history[-1]["loss"] == pytest.approx(exact.history[-1]["loss"], rel=0.1)
    assert mixed.model.item_embedding.weight.dtype == torch.float32


def test_scores_that_are_no_numbers_are_an_error():
    model = build()
    with torch.no_grad():
        model.item_embedding.weight.fill_(float("nan"))
    from mltfr.inference import ModelScorer, top_k

    with pytest.raises(MltfrError, match="diverged"):
        top_k(ModelScorer(model), [np.array([1, 2], np.int32)], 3)
