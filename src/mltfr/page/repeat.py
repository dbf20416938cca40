"""Section on how to repeat a run: the command, and checksums of what went in and came out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mltfr.baselines import BASELINES
from mltfr.config import flatten
from mltfr.errors import word
from mltfr.interactions.readers.frame import MEMORY
from mltfr.names.config import IDS, NamesConfig
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
    files, paragraphs = manifest["files"], list[str]()
    sources = [*(str(run.get("source")) for run in facts.get("chain", ())), source]  # of the first run, then new rows
    logs = [_log(each) for each in sources]
    if REFIT in facts:
        commands = [f"mltfr auto {logs[0]} --out SEARCH --resume --refit"]
        paragraphs.append(
            "The run is a refit: the command of its search, with --resume --refit, makes it where it is missing."
        )
    elif fitted.config.backbone.name == "blend":
        told = facts.get("blend", {})
        members = told.get("members", ())
        given = ",".join(str(one["weight"]) for one in members) if told.get("weights") == "given" else ""
        runs = " ".join(word(one["run"]) for one in members)
        commands = [f"mltfr blend {runs}{f' --weights {given}' if given else ''} --out AGAIN"]
    else:
        commands = [f"mltfr fit {logs[0]} --config RUN/config.toml --out AGAIN"]
    if facts.get("chain"):
        folders = ["AGAIN", *(f"UPDATED{number}" for number in range(1, len(logs)))]
        commands += [f"mltfr update {folders[n]} {logs[n + 1]} --out {folders[n + 1]}" for n in range(len(logs) - 1)]
        paragraphs.append(
            "The run is an update: it is repeated by its first run and then its updates, in their order, with the "
            "settings of that first run, and --epochs where an update trained on."
        )
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


def _log(source: str) -> str:
    """Return a log as it stands in a command; `LOG` for what has no name there, or several."""
    unnamed = source == MEMORY or re.fullmatch(r".+ and [\d,]+ more", source)
    return "LOG" if unnamed else word(source)


def _settings(fitted: FittedModel, quotes: bool) -> Table:
    """Return the settings that differ from the default ones of the same backbone and fusion."""
    config = fitted.config
    entry = BASELINES.find(config.backbone.name)
    names = IDS if entry is not None and entry.cls.reads_names else None  # by default it has none, and is refused
    plain = flatten(resolve(backbone=config.backbone.name, item_names=names).model_dump(mode="json"))
    plain["names.file"] = NamesConfig().file
    own = flatten(settings_to_share(config, with_users=True).model_dump(mode="json"))
    rows = []
    for key, value in own.items():
        if key in plain and plain[key] == value:
            continue
        text = "not shown" if key in QUOTING and not quotes else str(value)
        rows.append((key, text, str(plain.get(key, ""))))
    columns = (Column("setting"), Column("value"), Column("default"))
    return Table("settings", "Settings other than the default", columns, tuple(rows))
