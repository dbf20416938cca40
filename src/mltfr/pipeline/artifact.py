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

import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mltfr.config import dump_toml, load_toml
from mltfr.errors import ConfigError, OutputError, RunError
from mltfr.fusion import FUSIONS
from mltfr.interactions import Vocabulary
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.data import check_split, load_split, load_vocabulary, save_split
from mltfr.pipeline.estimators import make_estimator
from mltfr.pipeline.fitted import FittedModel, InferenceModel
from mltfr.pipeline.inputs import Tables, load_run_tables, placeholder_tables
from mltfr.pipeline.upgrade import upgrade_settings, upgrade_weights
from mltfr.storage import files
from mltfr.storage.files import (
    atomic_file,
    read_json,
    read_json_lines,
    remove_partial,
    write_json,
    write_json_lines,
    write_text,
)
from mltfr.storage.folder import MANIFEST, FolderFormat, damaged
from mltfr.training.checkpoint import STATE

CONFIG, METRICS, WEIGHTS = "config.toml", "metrics.json", "weights.safetensors"
LOG, CHECKPOINT, TENSORBOARD = "log.jsonl", "checkpoint", "tensorboard"
REMEDY = "Fit the recommender again."
FORMAT = FolderFormat("run", version=1, error=RunError, remedy=REMEDY)
_PACKAGES = ("torch", "numpy", "polars", "safetensors")


def check_new(folder: Path, resume: bool) -> None:
    """Refuse to write over something that is already there.

    Raises:
        RunError: `folder` holds a finished run, an interrupted one and `resume` is not asked for, or
            something else.
    """
    interrupted = None if resume else "holds an interrupted run. Continue it with --resume, or remove it first."
    finished = "holds a finished run. Choose another --out, or remove it first."
    files.check_new(folder, "a run", known={MANIFEST: finished, CHECKPOINT: interrupted}, error=RunError)


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


def save_artifact(fitted: FittedModel, folder: Path) -> None:
    """Write a run folder; the manifest comes last, so a folder without one is not finished.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    remove_partial(folder)
    write_text(folder / CONFIG, dump_toml(fitted.config))
    save_split(folder, fitted.split)
    write_json(folder / METRICS, fitted.metrics)
    write_json_lines(folder / LOG, fitted.history)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in fitted.model.state_dict().items()}
    with atomic_file(folder / WEIGHTS) as path:
        save_file(weights, path)
    system = {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "machine": platform.machine(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    FORMAT.write_manifest(folder, {**system, **fitted.facts})


def load_artifact(folder: Path) -> FittedModel:
    """Read a run folder, after checking every file.

    Raises:
        RunError: there is no finished run, it is damaged, or from another version.
    """
    manifest = read_manifest(folder)
    with damage(folder):
        split = load_split(folder, manifest["split"], manifest["left_out"])
        metrics, history = _documents(folder)
    found = _load_model(folder, manifest, split.vocabulary)
    return FittedModel(found.config, found.model, split, found.facts, metrics, history)


def load_inference_model(folder: Path) -> InferenceModel:
    """Read of a run folder what recommending needs, after checking every file; its users are not read.

    Raises:
        RunError: there is no finished run, it is damaged, or from another version.
    """
    manifest = read_manifest(folder)
    with damage(folder):
        vocabulary = load_vocabulary(folder)
        check_split(folder, manifest["split"], manifest["left_out"])
        _documents(folder)
    return _load_model(folder, manifest, vocabulary)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a finished run's manifest, after checking its format and every checksum.

    Raises:
        RunError: there is no finished run, it is of another format, or a file is missing or damaged.
    """
    if not folder.exists():
        raise RunError(f"{folder}: no such folder. Make one: mltfr fit FILE --out {folder}")
    if not (folder / MANIFEST).is_file():
        if (folder / CHECKPOINT).is_dir():
            raise RunError(f"{folder}: this run was interrupted. Finish it: mltfr fit ... --resume.")
        raise RunError(f"{folder}: not a run folder ({MANIFEST} is missing). Make one: mltfr fit FILE --out {folder}")
    return FORMAT.read_manifest(folder)


def damage(path: Path) -> AbstractContextManager[None]:
    """Return the context that turns whatever reading a damaged file causes into one line, a RunError."""
    return damaged(path, RunError, REMEDY, (ConfigError, PolarsError, SafetensorError))


def _documents(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the metrics and the log of training."""
    return read_json(folder / METRICS), read_json_lines(folder / LOG)


def _load_model(folder: Path, manifest: dict[str, Any], vocabulary: Vocabulary) -> InferenceModel:
    with damage(folder / CONFIG):
        config = RunConfig.parse(upgrade_settings(load_toml(folder / CONFIG)))
    tables = _tables(folder, config, manifest, len(vocabulary))
    with damage(folder / WEIGHTS):
        model = make_estimator(config).restore(len(vocabulary), tables, upgrade_weights(load_file(folder / WEIGHTS)))
    facts = {key: value for key, value in manifest.items() if key not in ("files", "format")}
    return InferenceModel(config, model, vocabulary, facts)


def _tables(folder: Path, config: RunConfig, manifest: Mapping[str, Any], items: int) -> Tables:
    """Return placeholders of what the run was fitted with, or the token tables where its weights lack them."""
    with damage(folder / MANIFEST):
        tables = placeholder_tables(manifest, items)
        fingerprints = [table["fingerprint"] for table in manifest["tables"]]
    if FUSIONS.get(config.fusion.name).cls.tables_in_state:
        return tables
    tokens = load_run_tables(config)
    if [table.fingerprint for table in tokens] != fingerprints:
        raise RunError(f"{folder}: was fitted with other token tables than those in the store. Fit it again.")
    return Tables(tokens, tables.item_vectors, {})
