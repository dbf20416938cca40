"""Settings that mean nothing beside the others: whoever asks for one is told why."""

from __future__ import annotations

import re
import warnings
from typing import Literal

import pytest

from mltfr.config.dotted import parse_overrides
from mltfr.errors import MltfrWarning
from mltfr.fusion import FUSIONS, Fusion, FusionConfig, register_fusion
from mltfr.fusion.adapter import AdapterConfig, AdapterFusion
from mltfr.losses import LOSSES, Loss, LossConfig, register_loss
from mltfr.pipeline import resolve

NAMED = {"fusion": "none", "item_names": "n.csv"}
STATIC = "fusion.filter.granularity=static"
VECTORS = {"fusion": "adapter", "item_vectors": "v.parquet"}
TABLES = {**NAMED, "tokens": "a,b", "overrides": ["names.read=tables"]}


@pytest.mark.parametrize(("given", "idle", "why"), [
    ({"fusion": "none"}, "names.scale=3", "no names are given. Add --item-names FILE"),
    ({"fusion": "none"}, "names.control=random", "no names are given"),
    ({"fusion": "none"}, "names.use=additive", "no names are given"),
    (NAMED | {"overrides": ["names.use=none"]}, "names.idf=false", "names.use = 'none' reads none"),
    (NAMED | {"overrides": ["names.use=none"]}, "names.columns=title", "names.use = 'none' reads none"),
    (NAMED, "names.first_direction=keep", "names are read as words. Set names.read=tables for it"),
    (NAMED, "names.whiten=true", "names.components is not 'variance'"),
    (NAMED, "names.rate_factor=2", "names.use is not 'additive'"),
    (NAMED, "tokens.width=8", "no token table is read"),
    (NAMED, "tokens.control_seed=8", "nothing is replaced by a control"),
    (TABLES | {"tokens": "a"}, "tokens.align=none", "there is one token table only"),
    ({"tokens": "a,b", "overrides": ["tokens.prepare=raw"]}, "tokens.width=8", "leaves tables as they are shipped"),
    ({"fusion": "none"}, "distillation.top=5", "there is no teacher. Add --teacher RUN"),
    ({"fusion": "none"}, "training.mask_ratio=0.5", "'sasrec' is not trained by masking"),
    ({"fusion": "none", "backbone": "bert4rec"}, "training.samples=positions", "'bert4rec' is trained by masking"),
    ({"fusion": "none", "backbone": "bert4rec"}, "training.advanced.window_targets=3", "'bert4rec' is trained by mask"),
    ({"fusion": "none", "overrides": ["training.samples=positions"]}, "training.advanced.window_targets=3", "not 'win"),
    ({"fusion": "none"}, "training.keep_rounds=true", "one round only, with fusion 'none' as it is set. Two has"),
    ({"fusion": "random", "overrides": ["fusion.consensus_weight=0"]}, "training.keep_rounds=true", "'random' as"),
    ({"fusion": "mltfr-reference"}, "training.advanced.fisher_examples=9", "'mltfr-reference' takes all training sam"),
    ({"fusion": "none"}, "backbone.temperature=0.1", "backbone.similarity is 'dot'. Set it to 'cosine'"),
    (VECTORS, "fusion.whitening=pca", "not 'whitening'"),
    (VECTORS, "fusion.experts=3", "not 'moe'"),
    ({"overrides": [STATIC]}, "fusion.filter.noise=3", "filters nothing"),
    ({"overrides": [STATIC]}, "fusion.filter.query=exponential", "filters nothing"),
    ({}, "fusion.filter.query_decay=0.5", "fusion.filter.query is not 'exponential'"),
    ({"overrides": ["fusion.filter.noise=0"]}, "fusion.filter.noise_steps=5", "fusion.filter.noise is 0"),
    ({"fusion": "none", "overrides": ["loss=sampled_softmax"]}, "loss.alpha=1", "loss.sampling is 'uniform'"),
])  # fmt: skip
def test_settings_that_mean_nothing_beside_the_others_are_said(given, idle, why):
    given = dict(given)
    overrides, key = given.pop("overrides", []), idle.partition("=")[0]
    with pytest.warns(MltfrWarning, match=f"^{re.escape(key)}: has no meaning here, since .*{re.escape(why)}"):
        resolve(overrides=[*overrides, idle], **given)
    file = parse_overrides([idle])
    if key.startswith("fusion.") and "fusion" in given:
        file["fusion"]["name"] = given["fusion"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = resolve(overrides=overrides, file=file, **given)  # a file may be another run's
    assert config == _without_warnings(overrides=[*overrides, idle], **given)


def _without_warnings(**given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resolve(**given)


@pytest.mark.parametrize("given", [
    TABLES | {"overrides": ["names.read=tables", "names.first_direction=keep", "tokens.width=8"]},
    NAMED | {"overrides": ["names.first_direction=remove", "names.use=additive", "names.rate_factor=2"]},
    NAMED | {"overrides": ["names.use=none"]},
    {"fusion": "none", "overrides": ["names.use=none"]},  # which is so
    {"overrides": ["training.keep_rounds=true", "training.first_round_epochs=3", "backbone.dropout=0.1"]},
    {"fusion": "random", "overrides": ["tokens.control_seed=3", "training.advanced.fisher_examples=9"]},
    {"fusion": "none", "backbone": "bert4rec", "overrides": [
        "training.samples=windows", "training.advanced.window_targets=4"]},  # a batch is divided by them
    {"fusion": "none", "backbone": "bert4rec", "overrides": ["training.empty_prefix=true"]},  # refused by the fit
    {"backbone": "bert4rec", "overrides": [STATIC, "fusion.filter.query=exponential"]},  # as well
    {"fusion": "capacity-history", "overrides": [
        STATIC, "fusion.filter.query=exponential", "fusion.filter.query_decay=0.5", "fusion.filter.query_from=input"]},
    {"overrides": [STATIC, "fusion.filter.keep=900", "fusion.filter.shortlist=1000"]},
])  # fmt: skip
def test_settings_that_mean_something_are_not_said(given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(**given)


class OwnConfig(FusionConfig):
    """Settings of a plug-in with names of settings that other fusions have."""

    name: Literal["own"] = "own"
    filter: str = ""
    kind: Literal["linear", "whitening", "moe"] = "linear"
    whitening: str = ""
    experts: int = 1
    dropout: float = 0.0


class OwnAdapterConfig(AdapterConfig):
    """Settings of a plug-in, one of which begins with the name of one that means nothing."""

    name: Literal["own-adapter"] = "own-adapter"  # type: ignore[assignment]
    experts_of_words: int = 1


class OwnLossConfig(LossConfig):
    """Settings of a plug-in with names of settings that another loss has."""

    name: Literal["own"] = "own"
    sampling: Literal["uniform", "other"] = "uniform"
    alpha: float = 1.0


@pytest.fixture
def _plugins(monkeypatch):
    for registry in (FUSIONS, LOSSES):
        registry.discover()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    register_fusion("own", OwnConfig)(type("Own", (Fusion,), {"needs_tables": False}))
    register_fusion("own-adapter", OwnAdapterConfig)(type("OwnAdapter", (AdapterFusion,), {}))
    register_loss("own", OwnLossConfig)(type("OwnLoss", (Loss,), {}))


@pytest.mark.usefixtures("_plugins")
@pytest.mark.parametrize("overrides", [
    ["fusion=own", "fusion.filter=words", "fusion.whitening=mine", "fusion.experts=3", "fusion.dropout=0.5"],
    ["fusion=own-adapter", "fusion.vectors=v.parquet", "fusion.experts_of_words=3"],
    ["fusion=none", "loss=own", "loss.alpha=0.5"],
])  # fmt: skip
def test_settings_of_plugins_are_not_taken_for_those_of_other_parts(overrides):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(overrides=overrides)
