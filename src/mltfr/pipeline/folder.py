"""The run folder: a fitted recommender that describes itself.

    config.toml            every setting; `mltfr fit FILE --config` repeats the run
    manifest.json          versions, seed, fingerprints, wall time, and the checksum of every file
    metrics.json           test and validation scores with their protocol
    weights.safetensors    the model
    items.parquet          item ids in the order of their codes, with their training counts
    histories.parquet      every user's history, and how much of it is training
    examples.parquet       the held-out predictions
    log.jsonl              one line per epoch
    index.faiss, .json     after `recommend --index ivf`: can be made again, so the manifest does not list them

The manifest is written last: a folder without one is not a finished run.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from polars.exceptions import PolarsError
from safetensors import SafetensorError

from mltfr.errors import ConfigError, OutputError, RunError
from mltfr.storage.files import atomic_file, sha256
from mltfr.training.checkpoint import STATE
from mltfr.version import __version__

FORMAT = 1
MANIFEST, CONFIG, METRICS, WEIGHTS = "manifest.json", "config.toml", "metrics.json", "weights.safetensors"
LOG, CHECKPOINT, TENSORBOARD = "log.jsonl", "checkpoint", "tensorboard"
_PACKAGES = ("torch", "numpy", "polars", "safetensors")

_DAMAGE = (OSError, KeyError, TypeError, ValueError, RuntimeError, ConfigError, PolarsError, SafetensorError)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(document, indent=2) + "\n")


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Finish a run folder: add versions and the checksum of every file to `facts`, and write them."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    document = {
        "format": FORMAT,
        "mltfr": __version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "machine": platform.machine(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
        "files": {path.name: sha256(path) for path in files if not path.name.startswith(".")},
    }
    write_json(folder / MANIFEST, document)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a finished run's manifest, after checking its format and every checksum.

    Raises:
        RunError: there is no finished run, it is of another format, or a file is missing or damaged.
    """
    path = folder / MANIFEST
    if not folder.exists():
        raise RunError(f"{folder}: no such folder. Make one: mltfr fit FILE --out {folder}")
    if not path.is_file():
        if (folder / CHECKPOINT).is_dir():
            raise RunError(f"{folder}: this run was interrupted. Finish it: mltfr fit ... --resume.")
        raise RunError(f"{folder}: not a run folder ({MANIFEST} is missing). Make one: mltfr fit FILE --out {folder}")
    with damage(path):
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        given, files = manifest["format"], dict(manifest["files"])
    if given != FORMAT:
        raise RunError(
            f"{folder}: written in run format {given} by mltfr {manifest.get('mltfr', 'unknown')}; this is mltfr "
            f"{__version__}, which reads format {FORMAT}. Fit it again, or install that version."
        )
    for name, checksum in files.items():
        if not (folder / name).is_file():
            raise RunError(f"{folder / name}: missing, though the manifest lists it. Fit the recommender again.")
        if sha256(folder / name) != checksum:
            raise RunError(f"{folder / name}: damaged (its checksum differs from the manifest's). Fit it again.")
    return manifest


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged file causes into one line.

    Raises:
        RunError: a file that belongs to a run cannot be read, or holds something else.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
        raise RunError(f"{path}: damaged, or of another version ({reason}). Fit the recommender again.") from error


@contextmanager
def open_run(folder: Path) -> Iterator[None]:
    """Make a run folder; after an error, keep it only where a checkpoint in it can be continued.

    Raises:
        OutputError: the folder cannot be made.
    """
    try:
        (folder / CHECKPOINT).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}). Choose another --out.") from error
    try:
        yield
    except BaseException:
        if not (folder / CHECKPOINT / STATE).exists():
            for name in (CHECKPOINT, TENSORBOARD):
                shutil.rmtree(folder / name, ignore_errors=True)
            for path in (folder / CONFIG, folder / LOG):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # something else lies in it
                folder.rmdir()
        raise


def check_new(folder: Path, resume: bool) -> None:
    """Refuse to write over something that is already there.

    Raises:
        RunError: `folder` holds a finished run, an interrupted one and `resume` is not asked for, or
            something else.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder}: is a file. Give --out the name of a new folder.")
    if not os.access(folder, os.W_OK):
        raise RunError(f"{folder}: may not be written. Choose another --out.")
    if (folder / MANIFEST).exists():
        raise RunError(f"{folder}: holds a finished run. Choose another --out, or remove it first.")
    if (folder / CHECKPOINT).exists():
        if not resume:
            raise RunError(f"{folder}: holds an interrupted run. Continue it with --resume, or remove it first.")
    elif any(not path.name.startswith(".") for path in folder.iterdir()):
        raise RunError(f"{folder}: is not empty and not a run. Choose another --out.")
