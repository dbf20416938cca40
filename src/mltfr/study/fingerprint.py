"""Fingerprint of everything that decides a run's result, and the first difference between two runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from mltfr.pipeline import RunConfig
from mltfr.storage.files import sha256
from mltfr.study.settings import keys_of
from mltfr.study.space import get_setting
from mltfr.tokens import PreparedTable, describe
from mltfr.training import CHECKPOINT_FORMAT
from mltfr.version import __version__

Inputs = dict[str, Any]
IRRELEVANT = ("checkpoint_seconds", "tensorboard")
"""Training settings that do not change the result."""


def inputs_of(config: RunConfig, data: str, tables: Sequence[PreparedTable], threads: int) -> Inputs:
    """Return all that a result depends on, complete settings included.

    Args:
        config: complete settings.
        data: fingerprint of the interaction log.
        tables: the prepared token tables.
        threads: threads of the process.
    """
    settings = config.model_dump(mode="json")
    device = config.training.device.partition(":")[0]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return {
        "config": settings,
        "data": data,
        "tables": describe(tables),
        "files": _files(settings["fusion"]),
        "versions": {"mltfr": __version__, "torch": torch.__version__, "checkpoint": CHECKPOINT_FORMAT},
        "device": device,
        "threads": threads,
    }


def _files(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksums of the files that a fusion's settings name, such as item vectors."""
    values = {key: get_setting(settings, key) for key in keys_of(settings)}
    paths = {key: Path(value) for key, value in values.items() if isinstance(value, str) and Path(value).suffix}
    return {key: _checksum(path, path.stat().st_mtime_ns) for key, path in paths.items() if path.is_file()}


@cache
def _checksum(path: Path, changed: int) -> str:
    """Return a file's SHA-256, computed once for every time that it was changed."""
    return sha256(path)


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what decides a result, in hexadecimal."""
    config = inputs["config"]
    training = {key: value for key, value in config["training"].items() if key not in IRRELEVANT}
    deciding = {**inputs, "config": {**config, "training": training}}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the first difference of two runs' inputs in words: `config.training.epochs was 3 and is 4`."""
    for key in sorted({*keys_of(old), *keys_of(new)}):
        before, now = _at(old, key), _at(new, key)
        if before != now and key not in {f"config.training.{name}" for name in IRRELEVANT}:
            return f"{key} was {json.dumps(before, default=str)[:80]} and is {json.dumps(now, default=str)[:80]}"
    return "it is of another version"


def _at(settings: Mapping[str, Any], key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
