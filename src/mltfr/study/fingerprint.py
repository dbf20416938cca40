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
from mltfr.study.settings import flatten
from mltfr.tokens import PreparedTable, describe
from mltfr.training import CHECKPOINT_FORMAT
from mltfr.version import __version__

Inputs = dict[str, Any]
IRRELEVANT = ("config.training.advanced.checkpoint_seconds", "config.training.tensorboard")
"""Inputs that do not change the result."""


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
    texts = {key: value for key, value in flatten(settings).items() if isinstance(value, str)}
    paths = {key: Path(text) for key, text in texts.items() if Path(text).suffix}
    return {key: _checksum(path, path.stat().st_mtime_ns) for key, path in paths.items() if path.is_file()}


@cache
def _checksum(path: Path, changed: int) -> str:
    """Return a file's SHA-256, computed once for every time that it was changed."""
    return sha256(path)


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what decides a result, in hexadecimal."""
    return hashlib.sha256(json.dumps(_deciding(inputs), sort_keys=True, default=str).encode()).hexdigest()


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the first difference of two runs' inputs in words: `config.training.epochs was 3 and is 4`."""
    before, now = _deciding(old), _deciding(new)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            texts = (json.dumps(values.get(key), default=str)[:80] for values in (before, now))
            return "{} was {} and is {}".format(key, *texts)
    return "it is of another version"


def _deciding(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flatten(inputs).items() if key not in IRRELEVANT}
