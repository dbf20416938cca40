"""Section on how to repeat a run: the command, and checksums of what went in and came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mltfr.config import flatten
from mltfr.page.content import Column, Section, Table
from mltfr.pipeline import resolve
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import REFIT
from mltfr.pipeline.shared import settings_to_share

QUOTING = ("filters.where",)
"""Settings that may quote ids."""


def repeat(fitted: FittedModel, manifest: Mapping[str, Any], fingerprint: str, quotes: bool) -> Section:
    """Return how a run is repeated.

    Args:
        fitted: the run.
        manifest: its manifest, with the checksums of its files.
        fingerprint: the checksum of the manifest.
        quotes: whether to show settings that may quote ids.
    """
    facts, source = fitted.facts, str(fitted.facts.get("source", "LOG"))
    files = manifest["files"]
    commands, paragraphs = [f"mltfr fit {source} --config RUN/config.toml --out AGAIN"], []
    if REFIT in facts:
        commands = [f"mltfr auto {source} --out SEARCH --resume --refit"]
        paragraphs.append(
            "The run is a refit: the command of its search, with --resume --refit, makes it where it is missing."
        )
    elif fitted.config.backbone.name == "blend":
        members = " ".join(one["run"] for one in facts.get("blend", {}).get("members", ()))
        commands = [f"mltfr blend {members} --out AGAIN"]
    elif facts.get("chain"):
        commands.append("mltfr update AGAIN NEW_ROWS --out UPDATED")
        paragraphs.append("The run is an update: it is repeated by the fit and then its updates, in their order.")
    paragraphs.append("With the same packages on the same machine the weights are the same to the bit.")
    known = [
        ("mltfr", str(facts.get("mltfr", ""))),
        ("seed", str(facts.get("seed", ""))),
        ("made", str(facts.get("created", ""))),
        ("log", f"{source}, fingerprint {facts.get('data_fingerprint', 'unknown')}"),
        ("settings", f"config.toml, SHA-256 {files['config.toml']}"),
        ("weights", f"weights.safetensors, SHA-256 {files['weights.safetensors']}"),
        ("manifest", f"manifest.json, SHA-256 {fingerprint}"),
        ("protocol", "" if REFIT in facts else str(fitted.metrics.get("protocol_hash", "unknown"))),
    ]
    tables = [_settings(fitted, quotes)] if fitted.config.backbone.name != "blend" else []
    return Section(
        "repeat", "How to repeat it", tuple(paragraphs), tuple((n, v) for n, v in known if v), tables=tuple(tables),
        commands=tuple(commands),
    )  # fmt: skip


def _settings(fitted: FittedModel, quotes: bool) -> Table:
    """Return the settings that differ from the default ones of the same backbone and fusion."""
    config = fitted.config
    plain = flatten(resolve(backbone=config.backbone.name).model_dump(mode="json"))
    own = flatten(settings_to_share(config, with_users=True).model_dump(mode="json"))
    rows = []
    for key, value in own.items():
        if key in plain and plain[key] == value:
            continue
        text = "not shown" if key in QUOTING and not quotes else str(value)
        rows.append((key, text, str(plain.get(key, ""))))
    columns = (Column("setting"), Column("value"), Column("default"))
    return Table("settings", "Settings other than the default", columns, tuple(rows))
