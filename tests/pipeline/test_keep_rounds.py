"""`training.keep_rounds`: a run of two rounds is the blend of both rounds' best models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mltfr import Recommender
from mltfr.errors import MltfrWarning
from mltfr.pipeline.models import BlendModel, NeuralModel
from mltfr.tokens import TokenStore, TokenTable
from mltfr.training import Callback, Interrupted
from support.stopping import StopAt
from support.walks import as_log, rows, walks

SMALL = (
    "backbone.hidden=16", "backbone.max_length=8", "tokens.width=8", "training.batch_size=32",
    "training.advanced.fisher_examples=64", "fusion.filter.shortlist=12", "fusion.filter.keep=3",
)  # fmt: skip
KEPT = (*SMALL, "training.keep_rounds=true", "training.advanced.checkpoint_seconds=0")
LOG = as_log(rows(walks(users=40, items=20, shortest=4, longest=9)))


@pytest.fixture(autouse=True)
def _tables(_own_home):
    store = TokenStore()
    if "alpha" not in store:
        values = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
        store.put(TokenTable("alpha", values, tuple(f"w{n}" for n in range(30))))


def fit(settings=KEPT, out=None, callback=None, **arguments):
    recommender = Recommender(tokens=["alpha"], settings=settings, epochs=4)
    return recommender.fit(LOG, out, callback=callback or Callback(), **arguments)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
        _tables.__wrapped__(None) if hasattr(_tables, "__wrapped__") else None
        store = TokenStore()
        if "alpha" not in store:
            values = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)
            store.put(TokenTable("alpha", values, tuple(f"w{n}" for n in range(30))))
        return fit()


def test_round_2_is_the_run_without_it_and_round_1_that_of_one_round(kept):
    model = kept.fitted.model
    assert isinstance(model, BlendModel)
    first, last = model.members
    assert same(last.state_dict(), fit(SMALL).fitted.model.state_dict())
    alone = fit((*SMALL, "fusion.consensus_weight=0", "training.epochs=2"))
    assert same(first.state_dict(), alone.fitted.model.state_dict())
    told = kept.fitted.facts["blend"]
    assert [member["run"] for member in told["members"]] == ["round 1", "round 2"]
    assert sum(model.weights.tolist()) == pytest.approx(1)
    assert kept.fitted.verdict.member.name in ("round 1", "round 2")


def test_it_is_saved_loaded_and_resumed_to_the_bit(kept, tmp_path):
    callback = StopAt(2, in_round=2)
    with pytest.raises(Interrupted):
        fit(out=tmp_path / "run", stop=callback.stop, callback=callback)
    resumed = fit(out=tmp_path / "run", resume=True)
    assert same(resumed.fitted.model.state_dict(), kept.fitted.model.state_dict())
    loaded = Recommender.load(tmp_path / "run")
    assert loaded.recommend(k=5).equals(kept.recommend(k=5))
    assert loaded.metrics["metrics"] == kept.metrics["metrics"]
    assert loaded.metrics["zero_branch"] == dict(loaded.evaluate(zero_branch=True).metrics)


def test_in_a_blend_it_stands_for_both_rounds(kept, tmp_path):
    kept.save(tmp_path / "kept")
    markov = Recommender(backbone="markov").fit(LOG, callback=Callback())
    blend = Recommender.blend([tmp_path / "kept", markov], out=tmp_path / "blend", callback=Callback())
    assert [member["run"] for member in blend.fitted.facts["blend"]["members"]] == [
        "kept/round 1", "kept/round 2", "markov",
    ]  # fmt: skip
    loaded = Recommender.load(tmp_path / "blend")
    assert loaded.recommend(k=5).equals(blend.recommend(k=5))
    assert "zero_branch" in loaded.metrics
    assert loaded.fitted.verdict.fusion == "mltfr"


def test_training_on_goes_on_from_the_last_round_alone(kept):
    later = as_log([(f"u{n % 20}", f"i{(n * 7) % 20}", 100 + n) for n in range(60)])
    other = Recommender(config=kept.config)
    other._fitted = kept._fitted
    updated = other.update(later, epochs=1, callback=Callback())
    assert isinstance(updated.fitted.model, NeuralModel)
    assert "blend" not in updated.fitted.facts
    assert not updated.config.training.keep_rounds


def test_one_round_has_nothing_to_keep():
    said = []

    class Heard(Callback):
        def message(self, text):
            said.append(text)

    settings = ("backbone.hidden=16", "backbone.max_length=8", "training.keep_rounds=true")
    with pytest.warns(MltfrWarning, match="^training.keep_rounds: has no meaning here, since there is one round only"):
        recommender = Recommender(fusion="none", settings=settings, epochs=1)
    found = recommender.fit(LOG, callback=Heard())
    assert isinstance(found.fitted.model, NeuralModel)
    assert not any("keep_rounds" in text for text in said)  # once is enough
