"""Recommenders of the size that budgets are stated for: D 64, 2 blocks, length 50, batch 128."""

from __future__ import annotations

from collections.abc import Sequence

from harness.settings import Settings
from mltfr.interactions import Split
from mltfr.model import SequentialModel
from mltfr.runs import RunConfig, resolve
from mltfr.runs.build import build_model
from mltfr.tokens import PreparedTable

SIZE = ("backbone.hidden=64", "backbone.blocks=2", "backbone.max_length=50", "training.batch_size=128")
PAPER_BLOCK = (
    "backbone.norm=pre",
    "backbone.input_norm=false",
    "backbone.scale_input=true",
    "backbone.activation=relu",
    "backbone.inner=1",
    "backbone.heads=1",
    "backbone.dropout=0.2",
)


def configure(
    settings: Settings,
    *more: str,
    loss: str = "bce",
    samples: str = "positions",
    fusion: str = "none",
    tables: Sequence[PreparedTable] = (),
    preset: str = "default",
) -> RunConfig:
    """Return the settings of a run; `more` are `KEY=VALUE` texts."""
    return resolve(
        preset=preset,
        fusion=fusion,
        tokens=[table.name for table in tables],
        seed=settings.seed,
        overrides=[*SIZE, f"loss={loss}", f"training.samples={samples}", "training.device=cpu", *more],
    )


def ready_model(config: RunConfig, split: Split, tables: Sequence[PreparedTable] = ()) -> SequentialModel:
    """Return a model that scores; its weights are the initial ones, which costs the same as trained ones."""
    return build_model(config, len(split.vocabulary), tables).eval()

