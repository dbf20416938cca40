"""A fitted model from its settings, its manifest and its tensors: a network, a baseline, or a blend of several."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from polars.exceptions import PolarsError
from safetensors import SafetensorError
from torch import Tensor

from mltfr.errors import ConfigError, RunError
from mltfr.fusion import FUSIONS
from mltfr.pipeline.config import BlendConfig, RunConfig
from mltfr.pipeline.estimators import make_estimator
from mltfr.pipeline.inputs import Tables, load_run_tables, placeholder_tables
from mltfr.pipeline.models import BLEND, BlendModel, Model
from mltfr.storage.folder import MANIFEST, damaged
from mltfr.tokens import describe

WEIGHTS = "weights.safetensors"
REMEDY = "Fit the recommender again."


def damage(path: Path) -> AbstractContextManager[None]:
    """Return the context that turns whatever reading a damaged file causes into one line, a RunError."""
    return damaged(path, RunError, REMEDY, (ConfigError, PolarsError, SafetensorError))


def restore(
    folder: Path, config: RunConfig, facts: Mapping[str, Any], items: int, weights: Mapping[str, Tensor]
) -> Model:
    """Return a run's model, or that of a blend's member.

    Args:
        folder: the run folder, for messages.
        config: the settings.
        facts: what the manifest says of the fit, or of the member's.
        items: number of items I.
        weights: the tensors of its `state_dict`.

    Raises:
        RunError: these do not belong together, or the token tables of the fit cannot be had any more.
    """
    if not isinstance(config.backbone, BlendConfig):
        tables = _tables(folder, config, facts, items)
        with damage(folder / WEIGHTS):
            return make_estimator(config).restore(items, tables, weights)
    settings = config.backbone.members
    with damage(folder / MANIFEST):
        members = list(facts[BLEND]["members"])
    with damage(folder / WEIGHTS):
        return BlendModel.of_state(weights, lambda n, state: restore(folder, settings[n], members[n], items, state))


def _tables(folder: Path, config: RunConfig, facts: Mapping[str, Any], items: int) -> Tables:
    """Return placeholders of what the run was fitted with, or the token tables where its weights lack them."""
    with damage(folder / MANIFEST):
        tables = placeholder_tables(facts, items)
        fingerprints = [table["fingerprint"] for table in facts["tables"]]
    if FUSIONS.get(config.fusion.name).cls.tables_in_state:
        return tables
    tokens = load_run_tables(config)
    # a control's manifest says which table its vectors replace, those of runs before this comparison too
    if [table["fingerprint"] for table in describe(tokens)] != fingerprints:
        raise RunError(f"{folder}: was fitted with other token tables than those in the store. Fit it again.")
    return Tables(tokens, tables.item_vectors, {})
