"""Settings that mean nothing beside the others: whoever asks for one is told why."""

from __future__ import annotations

import re
import warnings

import pytest

from mltfr.errors import MltfrWarning
from mltfr.pipeline import resolve

NAMED = {"fusion": "none", "item_names": "n.csv"}
TABLES = {**NAMED, "tokens": "a,b", "overrides": ["names.read=tables"]}


@pytest.mark.parametrize(("given", "idle", "why"), [
    ({"fusion": "none"}, "names.scale=3", "no names are given. Add --item-names FILE"),
    ({"fusion": "none"}, "names.control=random", "no names are given"),
    (NAMED | {"overrides": ["names.use=none"]}, "names.idf=false", "names.use = 'none' reads none"),
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
    ({"fusion": "none", "overrides": ["training.samples=positions"]}, "training.advanced.window_targets=3", "not 'win"),
    ({"fusion": "none"}, "training.keep_rounds=true", "there is one round only. Two has fusion 'mltfr'"),
    ({"fusion": "none"}, "backbone.temperature=0.1", "backbone.similarity is 'dot'. Set it to 'cosine'"),
    ({"fusion": "adapter", "item_vectors": "v.parquet"}, "fusion.whitening=pca", "not 'whitening'"),
    ({"fusion": "adapter", "item_vectors": "v.parquet"}, "fusion.experts=3", "not 'moe'"),
    ({"overrides": ["fusion.filter.granularity=static"]}, "fusion.filter.noise=3", "filters nothing"),
    ({}, "fusion.filter.query_decay=0.5", "fusion.filter.query is not 'exponential'"),
    ({"overrides": ["fusion.filter.noise=0"]}, "fusion.filter.noise_steps=5", "fusion.filter.noise is 0"),
    ({"fusion": "none", "overrides": ["loss=sampled_softmax"]}, "loss.alpha=1", "loss.sampling is 'uniform'"),
])  # fmt: skip
def test_settings_that_mean_nothing_beside_the_others_are_said(given, idle, why):
    given = dict(given)
    overrides, file = given.pop("overrides", []), {"names": {"first_direction": "keep", "scale": 3}}
    key = idle.partition("=")[0]
    with pytest.warns(MltfrWarning, match=f"^{re.escape(key)}: has no meaning here, since .*{re.escape(why)}"):
        resolve(overrides=[*overrides, idle], **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(overrides=overrides, file=file, **given)  # a file may be another run's


def test_settings_that_mean_something_are_not_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(**TABLES | {"overrides": ["names.read=tables", "names.first_direction=keep", "tokens.width=8"]})
        resolve(**NAMED, overrides=["names.first_direction=remove", "names.use=additive", "names.rate_factor=2"])
        resolve(overrides=["training.keep_rounds=true", "training.first_round_epochs=3", "backbone.dropout=0.1"])
        resolve(fusion="random", overrides=["tokens.control_seed=3"])
        resolve(fusion="none", backbone="bert4rec", overrides=["training.empty_prefix=true"])  # refused by the fit
