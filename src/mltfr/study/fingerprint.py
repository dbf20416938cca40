"""Fingerprint of everything that decides a run's result, and the first difference between two runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from mltfr.config import differences, flatten
from mltfr.names.config import IDS
from mltfr.pipeline import RunConfig
from mltfr.storage.files import sha256
from mltfr.storage.folder import MANIFEST
from mltfr.tokens import PreparedTable, describe
from mltfr.tokens.verified import is_settled, state
from mltfr.training import CHECKPOINT_FORMAT
from mltfr.version import __version__

Inputs = dict[str, Any]
IRRELEVANT = (
    "config.evaluation.baselines",
    "config.trackers",
    "config.training.advanced.checkpoint_seconds",
    "config.training.tensorboard",
)
"""Inputs that do not change the result."""
FILES = ("vectors", "names.file")
"""Settings that name files, whatever these are called; other texts, of plug-ins, do if they end like one."""


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
        "files": files_of(settings),
        "versions": {"mltfr": __version__, "torch": torch.__version__, "checkpoint": CHECKPOINT_FORMAT},
        "device": device,
        "threads": threads,
    }


def files_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksums of the files that a run's settings name: its fusion's, names, and its teacher's manifest."""
    texts = flatten(settings["fusion"])
    if (names := settings.get("names", {}).get("file", "")) != IDS:
        texts["names.file"] = names
    if teacher := settings.get("distillation", {}).get("teacher"):
        texts["distillation.teacher"] = f"{teacher}/{MANIFEST}"
    named = {key: text for key, text in texts.items() if isinstance(text, str) and (key in FILES or Path(text).suffix)}
    paths = {key: Path(text).absolute() for key, text in named.items()}
    return {key: _content(path) for key, path in paths.items() if path.is_file()}


def _content(path: Path) -> str:
    """Return a file's SHA-256; a file that has not changed since is not read again."""
    return _checksum(path, state(path)) if is_settled(path) else sha256(path)


@cache
def _checksum(path: Path, state: tuple[int, ...]) -> str:
    return sha256(path)


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what decides a result, in hexadecimal."""
    return hashlib.sha256(json.dumps(_deciding(inputs), sort_keys=True, default=str).encode()).hexdigest()


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the first difference of two runs' inputs in words: `config.training.epochs was 3 and is 4`."""
    return next(iter(differences(_deciding(old), _deciding(new))), "it is of another version")


def _deciding(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flatten(inputs).items() if key not in IRRELEVANT}
