"""What a service says about its run: where it comes from, how it scored, what it is made of, and what it allows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import torch

from mltfr.errors import ConfigError
from mltfr.pipeline.models import BLEND, REFIT
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.service import Service
from mltfr.tokens.catalogue import CATALOGUE
from mltfr.version import __version__

LIMITS = (
    "max_batch", "max_k", "max_histories", "max_explained", "max_body", "timeout", "queue", "rate", "interactions",
)  # fmt: skip


def info(service: Service) -> dict[str, Any]:
    """Return the document of `/v1/info`."""
    run = service.run
    options = {name: getattr(service.options, name) for name in LIMITS}
    return {
        "mltfr": __version__,
        **about(run),
        "new_interactions": len(service.interactions),
        "limits": {**options, "max_batch": run.together(service.options.max_batch)},
        "notes": run.notes,
    }


def about(run: LoadedRun) -> dict[str, Any]:
    """Return what is known of a run."""
    fitted = run.fitted
    config, metrics, facts = fitted.config, fitted.metrics, fitted.facts
    score = {name: metrics[name] for name in ("metrics", "zero_branch", "verdict") if name in metrics}
    return {
        "run": run.fingerprint,
        "name": run.folder.name,
        "title": config.title,
        "preset": config.preset,
        "backbone": config.backbone.name,
        "fusion": config.fusion.name,
        "created": facts.get("created"),
        "loaded": datetime.fromtimestamp(run.loaded, UTC).isoformat(timespec="seconds"),
        "users": len(fitted.split.histories),
        "items": len(fitted.split.vocabulary),
        "new_items": len(fitted.new_items) if fitted.new_items is not None else 0,
        "reads": run.own.window,
        "similar_items": _has_similarity(run),
        "protocol": metrics.get("protocol"),
        "protocol_hash": metrics.get("protocol_hash"),
        "test": score,
        "refit": facts.get(REFIT),  # with the scores of the run before; its own are none
        "tables": [_table(table) for table in _tables(facts)],
    }


def _tables(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the manifest says of the token tables, a blend's members' among them, each once."""
    members = facts.get(BLEND, {}).get("members", [])
    found = [*facts.get("tables", []), *(table for member in members for table in member.get("tables", []))]
    return list({table.get("fingerprint"): table for table in found}.values())


def _table(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a token table; its licence where the catalogue knows it."""
    entry = CATALOGUE.get(str(facts.get("table", facts.get("name"))))
    known = {name: facts.get(name) for name in ("name", "shape", "fingerprint")}
    return {**known, "licence": entry.licence if entry is not None else None}


def _has_similarity(run: LoadedRun) -> bool:
    try:
        run.fitted.model.item_similarity(torch.tensor([1]))
    except ConfigError:
        return False
    return True
