"""A training that is told that it is enough ends with the best weights so far; one that pauses goes on to the bit."""

from __future__ import annotations

from threading import Event

import pytest

from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.pipeline import fit, load_artifact, resolve
from mltfr.study.config import DataConfig
from mltfr.study.fingerprint import inputs_of
from mltfr.study.job import PAUSED, attempt
from mltfr.study.spec import JobSpec, write_spec
from mltfr.training import Callback, Interrupted

SIZE = {"users": 80, "items": 30, "topics": 3}
LOG = synthetic(SyntheticConfig(**SIZE)).log
SMALL = {
    "backbone.hidden": 8, "backbone.blocks": 1, "backbone.max_length": 10, "training.samples": "positions",
    "training.batch_size": 16, "training.epochs": 6,
}  # fmt: skip


class At(Callback):
    """Sets an event after some batches of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at, self.event, self.records = (epoch, batch), Event(), []

    def on_round_start(self, number: int, rounds: int, epochs: int, batches: int) -> None:
        self.batches = batches

    def on_batch_end(self, epoch: int, batch: int) -> None:
        if (epoch, batch) == self.at:
            self.event.set()

    def on_epoch_end(self, record: dict) -> None:
        self.records.append(record)


def config(**changes):
    return resolve(fusion="none", baselines=False, overrides={**SMALL, **changes})


@pytest.mark.parametrize(("epoch", "batch", "epochs"), [(1, 1, 1), (3, 2, 3)])
def test_the_epoch_is_cut_short_and_validated_and_is_the_last(tmp_path, epoch, batch, epochs):
    at = At(epoch, batch)
    fitted = fit(config(), LOG, tmp_path / "run", callback=at, enough=at.event)
    assert len(at.records) == epochs
    assert at.records[-1]["step"] == (epoch - 1) * at.batches + batch
    best = max(record["validation"]["ndcg@10"] for record in at.records)
    assert fitted.metrics["validation"]["metrics"]["ndcg@10"] == pytest.approx(best)
    assert load_artifact(tmp_path / "run").history == at.records


def test_an_interrupted_one_becomes_a_run_without_a_further_step(tmp_path):
    at = At(3, 2)
    with pytest.raises(Interrupted):
        fit(config(), LOG, tmp_path / "run", callback=at, stop=at.event)
    enough = Event()
    enough.set()
    again = At(0, 0)
    fitted = fit(config(), LOG, tmp_path / "run", resume=True, callback=again, enough=enough)
    assert not again.records
    assert len(fitted.history) == 2


def test_of_two_rounds_the_second_is_left_out(tmp_path):
    two = {"tokens.tables": ["synthetic-2"], "tokens.width": 8, "fusion.filter.shortlist": 16, "fusion.filter.keep": 2,
           "training.first_round_epochs": 2, "training.advanced.fisher_examples": 16}  # fmt: skip
    at = At(2, 1)
    settings = resolve(fusion="mltfr", baselines=False, overrides={**SMALL, **two})
    fit(settings, LOG, tmp_path / "run", callback=at, enough=at.event)
    loaded = load_artifact(tmp_path / "run")
    assert loaded.facts["rounds"] == 1
    assert len(loaded.history) == 2


def test_paused_behind_every_epoch_it_ends_to_the_bit_as_without(tmp_path):
    data = DataConfig.parse({"name": "synthetic", "synthetic": SIZE})
    spec = JobSpec(data=data, inputs=inputs_of(config(), LOG.fingerprint(), [], 1), trial=True)
    for name, pauses in (("straight", [None]), ("paused", [1, 2, 4, None])):
        for pause in pauses:
            write_spec(tmp_path / name, spec.model_copy(update={"pause_after": pause}))
            (tmp_path / name).mkdir(exist_ok=True)
            code, error = attempt(tmp_path / name, Event())
            assert (code, error) == ((PAUSED, "") if pause else (0, ""))
            epochs = (tmp_path / name / "log.jsonl").read_text().count("\n")
            assert epochs == (pause or 6)
    weights = "weights.safetensors"
    assert (tmp_path / "paused" / weights).read_bytes() == (tmp_path / "straight" / weights).read_bytes()
