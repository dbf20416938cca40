"""A fit with a teacher: what is learned, what is kept, and what is refused."""

from __future__ import annotations

import shutil
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError, OutputError, RunError
from mltfr.inference import BlendScorer
from mltfr.losses.distillation import Distillation, DistillationConfig
from mltfr.pipeline import load_artifact
from mltfr.pipeline.teacher import fill
from mltfr.training import Callback, Interrupted
from mltfr.training.samples import make_batch, make_samples
from mltfr.training.teacher import Teacher, row_type
from support.stopping import StopAt
from support.walks import as_log, rows, walks

SMALL = ("backbone.hidden=16", "backbone.max_length=6", "training.batch_size=32")
LOG = as_log(rows(walks(users=50, items=25, shortest=5, longest=12)))


def recommender(*settings, **arguments):
    return Recommender(**{"fusion": "none", "settings": (*SMALL, *settings), "epochs": 2, **arguments})


def fit(*settings, out=None, callback=None, more=None, **arguments):
    return recommender(*settings, **arguments).fit(LOG, out, callback=callback or Callback(), **(more or {}))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Return the folder of a blend of a network and a baseline."""
    folder = tmp_path_factory.mktemp("teacher")
    markov = Recommender(backbone="markov").fit(LOG, callback=Callback())
    Recommender.blend([fit(), markov], out=folder / "blend", callback=Callback())
    return folder / "blend"


def same(first, second):
    first, second = first.fitted.model.state_dict(), second.fitted.model.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_rows_are_the_teachers_most_probable_items_after_each_prefix(teacher):
    fitted = load_artifact(teacher)
    histories, items = fitted.split.train_histories(), len(fitted.split.vocabulary)
    found = np.zeros(len(histories.items), row_type(5))
    fill(found, fitted.model.scorer(), histories, DistillationConfig(top=5, temperature=2.0))
    scorer = fitted.model.scorer()
    for user in (0, 7, 31):
        first = histories.offsets[user]
        assert not found["shares"][first].any()
        for place in range(first + 1, histories.offsets[user + 1]):
            scores = scorer.scores(scorer.queries([histories.items[first:place]]), 1, items + 1)[0].double()
            best, columns = scores.topk(5)
            expected = best.sqrt() / best.sqrt().sum()
            assert found["codes"][place].tolist() == (columns + 1).tolist()
            assert found["shares"][place].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", ["prefixes", "windows", "positions"])
def test_a_batch_has_the_rows_of_its_targets(kind):
    run = recommender("training.samples=" + kind, "training.advanced.window_targets=3")
    fitted = run.fit(LOG, callback=Callback()).fitted
    histories = fitted.split.train_histories()
    samples = make_samples(fitted.config.training, fitted.model, histories)
    numbers = np.zeros(len(histories.items), row_type(2))
    numbers["codes"][:, 0] = histories.items
    numbers["codes"][:, 1] = np.arange(len(histories.items))
    teacher = Teacher(numbers, Distillation(DistillationConfig()))
    seen = []
    for chunk in np.array_split(np.random.default_rng(0).permutation(len(samples)), 9):
        batch = make_batch(samples, None, chunk, np.random.default_rng(0), teacher)
        codes, _ = batch.teacher
        assert codes[:, 0].tolist() == batch.targets.flatten()[batch.targets.flatten() > 0].tolist()
        seen += codes[:, 1].tolist()
    expected = np.setdiff1d(np.arange(len(histories.items)), histories.offsets[:-1])
    assert sorted(seen) == expected.tolist()


def test_rows_that_do_not_fit_on_the_disk_are_refused_before_they_are_written(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    for out in (None, tmp_path / "run"):
        with pytest.raises(OutputError, match=r"only 0 MB are free\. Free some space, or lower"):
            fit(teacher=teacher, out=out)
    assert not (tmp_path / "run").exists()


def test_it_brings_a_model_nearer_to_its_teacher(teacher):
    blend = load_artifact(teacher)
    histories = [blend.split.histories[user] for user in range(30)]

    def divergence(fitted):
        target, own = (BlendScorer([run.model.scorer()], [1.0]).queries(histories) for run in (blend, fitted))
        return float((target * (target.log() - own.log())).sum(1).mean())

    alone, taught = (
        fit("training.epochs=6", *more, teacher=run).fitted
        for run, more in ((None, ()), (teacher, ("distillation.weight=1", "distillation.top=25")))
    )
    assert divergence(taught) < 0.8 * divergence(alone)


def test_the_run_needs_its_teacher_no_more_and_names_it(teacher, tmp_path):
    shutil.copytree(teacher, tmp_path / "teacher")
    found = fit(out=tmp_path / "run", teacher=tmp_path / "teacher")
    assert not list((tmp_path / "run").rglob("teacher*"))
    shutil.rmtree(tmp_path / "teacher")
    loaded = Recommender.load(tmp_path / "run")
    assert loaded.recommend(k=5).equals(found.recommend(k=5))
    assert loaded.fitted.facts["teacher"]["run"] == "teacher"
    assert len(loaded.fitted.facts["teacher"]["fingerprint"]) == 64
    again = fit(out=tmp_path / "run", teacher=tmp_path / "teacher", more={"resume": True})  # it is finished
    assert same(again, found)
    assert same(found, fit(teacher=teacher))
    assert not same(found, fit())


def test_it_resumes_to_the_bit_without_asking_again_and_not_with_another_teacher(teacher, tmp_path, monkeypatch):
    callback, folder = StopAt(3, epoch=2), tmp_path / "teacher"
    shutil.copytree(teacher, folder)
    with pytest.raises(Interrupted):
        fit(out=tmp_path / "run", teacher=folder, callback=callback, more={"stop": callback.stop})
    shutil.rmtree(folder)
    Recommender(backbone="markov").fit(LOG, folder, callback=Callback())
    with pytest.raises(RunError, match="The checkpoint was made from other data"):
        fit(out=tmp_path / "run", teacher=folder, more={"resume": True})
    shutil.rmtree(folder)
    shutil.copytree(teacher, folder)
    with monkeypatch.context() as patch:
        patch.setattr("mltfr.pipeline.teacher.fill", None)
        resumed = fit(out=tmp_path / "run", teacher=folder, more={"resume": True})
    assert same(resumed, fit(teacher=folder))
    shutil.rmtree(folder)
    Recommender(backbone="markov").fit(LOG, folder, callback=Callback())
    with pytest.raises(RunError, match="the teacher is another one"):
        fit(out=tmp_path / "run", teacher=folder, more={"resume": True})


def test_a_stop_while_the_teacher_is_asked_is_heard(teacher):
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        fit(teacher=teacher, more={"stop": stop})


def test_a_file_of_rows_that_was_cut_is_computed_again(teacher, tmp_path):
    callback = StopAt(3, epoch=2)
    with pytest.raises(Interrupted):
        fit(out=tmp_path / "run", teacher=teacher, callback=callback, more={"stop": callback.stop})
    (file,) = (tmp_path / "run" / "checkpoint").glob("teacher-*.npy")
    file.write_bytes(file.read_bytes()[:100])
    assert same(fit(out=tmp_path / "run", teacher=teacher, more={"resume": True}), fit(teacher=teacher))


def test_an_update_learns_from_its_rows_alone(teacher, tmp_path):
    found = fit(teacher=teacher)
    later = as_log([(f"u{n % 20}", f"i{(n * 7) % 25}", 100 + n) for n in range(60)])
    assert found.update(later, epochs=1, callback=Callback()).config.distillation.teacher == ""


def test_teachers_of_other_data_and_pupils_that_cannot_learn_are_refused(teacher, tmp_path):
    less = as_log(list(rows(walks(users=50, items=25, shortest=5, longest=12)))[:-30])
    Recommender(backbone="popularity").fit(less, tmp_path / "other", callback=Callback())
    with pytest.raises(DataError, match="other cannot teach this fit: it read other data"):
        fit(teacher=tmp_path / "other")
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        fit(teacher=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is a baseline, which is not trained, so it cannot learn from a teacher"):
        Recommender(backbone="markov", teacher=teacher)
    with pytest.raises(ConfigError, match="is trained by masking"):
        Recommender(backbone="bert4rec", fusion="none", teacher=teacher)
    with pytest.raises(ConfigError, match="leaves item vectors alone until they are read, and a teacher moves"):
        fit("loss.name=bce", "training.advanced.item_updates=sparse", teacher=teacher)


def test_it_learns_beside_any_loss_and_in_shards(teacher):
    for settings in (("loss.name=bce",), ("training.shards=2",), ("training.samples=windows",)):
        assert not same(fit(*settings, teacher=teacher), fit(*settings))
