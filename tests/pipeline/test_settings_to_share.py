"""Of every setting that is free text it is decided whether it may leave the machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from mltfr.backbones import BACKBONES
from mltfr.baselines import BASELINES
from mltfr.config import Config, flatten
from mltfr.fusion import FUSIONS
from mltfr.fusion.adapter import AdapterConfig
from mltfr.losses import LOSSES
from mltfr.objectives import OBJECTIVES
from mltfr.pipeline.config import BlendConfig, RunConfig
from mltfr.pipeline.shared import settings_to_share

STAY = {"filters.where", "names.file", "fusion.vectors", "distillation.teacher"}
"""What may quote ids, or name a place on this machine."""
LEAVE = {
    "reading.format", "reading.user_column", "reading.item_column", "reading.timestamp_column", "reading.time_format",
    "reading.columns", "tokens.tables", "names.columns", "fusion.words", "fusion.consensus_group",
    "training.device", "training.metric", "filters.since", "filters.until", "split.validation_from", "split.test_from",
    "backbone.name", "fusion.name", "loss.name", "objective.name",
}  # fmt: skip
"""Names of columns and tables, words of the domain, dates, and what is no free text after all."""


def is_text(kind: Any) -> bool:
    return kind is str or any(is_text(one) for one in get_args(kind))


def texts(model: type[Config], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        groups = [one for one in inner if issubclass(one, Config) and one is not BlendConfig]  # which has these again
        for group in groups:
            yield from texts(group, f"{prefix}{name}.")
        if not groups and is_text(field.annotation):
            yield f"{prefix}{name}"


def test_every_text_is_decided() -> None:
    found = set(texts(RunConfig))
    for key, registries in {
        "backbone": (BACKBONES, BASELINES), "fusion": (FUSIONS,), "loss": (LOSSES,), "objective": (OBJECTIVES,),
    }.items():  # fmt: skip
        for registry in registries:
            for entry in registry:
                found |= set(texts(entry.config, f"{key}."))
    assert sorted(found - STAY - LEAVE) == sorted((STAY | LEAVE) - found) == []


@pytest.mark.parametrize("blend", [False, True])
def test_what_stays_stays(blend: bool) -> None:
    config = RunConfig(
        filters={"where": "user != u5"}, names={"file": "/home/me/a.csv"},  # type: ignore[arg-type]
        fusion=AdapterConfig(vectors=r"C:\me\b.parquet"), distillation={"teacher": "/home/me/c"},  # type: ignore[arg-type]
        tokens={"tables": ["synthetic"]}, trackers=("mlflow",),  # type: ignore[arg-type]
    )  # fmt: skip
    given = RunConfig().model_copy(update={"backbone": BlendConfig(members=(config,))}) if blend else config
    shared = settings_to_share(given)
    told = flatten((shared.singles[0] if blend else shared).model_dump(mode="json"))
    assert [told[key] for key in ("filters.where", "names.file", "fusion.vectors", "distillation.teacher")] == [
        None, "a.csv", "b.parquet", "c"
    ]  # fmt: skip
    assert told["trackers"] == []
    with_users = settings_to_share(given, with_users=True).singles[0]
    assert with_users.filters.where == "user != u5"
