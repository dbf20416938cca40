"""Tiny fitted recommenders to export, whose weights are large enough that every part counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mltfr import Recommender
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.tokens.sources.synthetic import SyntheticConfig as SyntheticTable
from mltfr.tokens.sources.synthetic import synthetic_words
from mltfr.training import Callback

FUSION: dict[str, dict[str, Any]] = {
    "mltfr": {"filter": {"shortlist": 16, "keep": 4}},
    "capacity-history": {"filter": {"shortlist": 16, "keep": 4}},
    "direct": {"layers": [16, 8]},
    "external": {"words": list(synthetic_words(SyntheticTable()).words[:3]), "neighbours": 2},
}
WINDOW = 6
BLOCKED = """
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(name + " is not to be imported")
sys.meta_path.insert(0, Blocked())
sys.argv = {words!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
LOG = synthetic(SyntheticConfig(users=40, items=24, topics=2, mean_length=6), seed=0).log


def fitted(backbone: str = "sasrec", fusion: str = "none", more: Mapping[str, Any] | None = None) -> Recommender:
    """Return a recommender of 24 items, fitted for an epoch and then stirred; its tables are synthetic."""
    settings: dict[str, Any] = {
        "backbone": {"name": backbone, "hidden": 8, "max_length": WINDOW},
        "fusion": {"name": fusion, **FUSION.get(fusion, {})},
        "tokens": {"tables": ["synthetic"], "width": 8},
        "training": {"epochs": 1, "batch_size": 32, "advanced": {"fisher_examples": 32}},
    }
    for name, values in (more or {}).items():
        settings[name] = {**settings.get(name, {}), **values}
    recommender = Recommender(config=settings).fit(LOG, callback=Callback())
    stir(recommender.fitted.model)
    return recommender


def printed(folder: Path, *blocked: str) -> str:
    """Return what the example of an exported folder prints in a process in which some packages cannot be imported."""
    script = BLOCKED.format(blocked=blocked, words=[str(folder / "example.py")])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stir(model: Any) -> None:
    """Move all weights by noise, in place; of a blend, those of every network in it."""
    torch.manual_seed(3)
    for network in getattr(model, "members", [model]):
        if isinstance(network, torch.nn.Module):
            with torch.no_grad():
                for weight in network.parameters():
                    weight += 0.2 * torch.randn_like(weight)
                network.item_embedding.weight[0] = 0  # type: ignore[index, union-attr]
