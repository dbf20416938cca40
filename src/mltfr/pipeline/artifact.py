"""The run folder: a fitted recommender that describes itself.

    config.toml            every setting; `mltfr fit FILE --config` repeats the run
    manifest.json          versions, seed, fingerprints, wall time, and the checksums of all these files and of itself
    metrics.json           test and validation scores with their protocol
    weights.safetensors    the model; of a blend, those of all members
    items.parquet          item ids in the order of their codes, with their training counts
    histories.parquet      every user's history, and how much of it is training
    new_items.parquet      items that training has not seen, with vectors; only where --new-items asked for them
    item_words.parquet     with new_items.parquet: the words of all items, as weights
    examples.parquet       which interactions are held out: the split, the user's row, the number of those before
    log.jsonl              one line per epoch
    index.faiss, .json     after `recommend --index ivf`: can be made again, so the manifest does not list them

The manifest is written last: a folder without one is not a finished run. While a run is made, `checkpoint/` is there.
Whatever else lies in the folder is left alone.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
from safetensors.torch import load_file, save_file

from mltfr.config import differences, dump_toml, load_toml
from mltfr.errors import ConfigError, RunError, word
from mltfr.inference.index import FACTS, INDEX
from mltfr.interactions import Vocabulary
from mltfr.names.new_items import NewItems
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.data import SPLIT_FILES, check_split, load_split, load_vocabulary, save_split
from mltfr.pipeline.fitted import FittedModel, InferenceModel
from mltfr.pipeline.models import NeuralModel
from mltfr.pipeline.new_items import FILE as NEW_ITEMS
from mltfr.pipeline.new_items import WORDS, load_new_items, new_items_table, words_table
from mltfr.pipeline.restore import REMEDY, WEIGHTS, damage, restore
from mltfr.pipeline.upgrade import upgrade_settings, upgrade_weights
from mltfr.storage import files
from mltfr.storage.files import (
    atomic_file,
    output_errors,
    read_json,
    read_json_lines,
    remove_partial,
    write_json,
    write_json_lines,
    write_text,
)
from mltfr.storage.folder import MANIFEST, FolderFormat
from mltfr.storage.lock import locked, naming_the_holder
from mltfr.storage.refusals import has_file
from mltfr.training.checkpoint import STATE, Checkpoints, plain_tensors

CONFIG, METRICS = "config.toml", "metrics.json"
LOG, CHECKPOINT, TENSORBOARD = "log.jsonl", "checkpoint", "tensorboard"
FILES = (CONFIG, *SPLIT_FILES, METRICS, LOG, WEIGHTS)
FORMAT = FolderFormat("run", 1, FILES, error=RunError, remedy=REMEDY)
UNREADABLE = (ConfigError, KeyError, TypeError, AttributeError)
"""Errors of a file of settings that is not a run's."""
_PACKAGES = ("torch", "numpy", "polars", "safetensors")


def check_new(folder: Path, resume: bool) -> None:
    """Refuse to write over something that is already there.

    Raises:
        RunError: `folder` holds a finished or an interrupted run and `resume` is not asked for, or something else; or
            another process is at work in it.
    """
    look = f"Look at it: mltfr evaluate {word(folder)}"
    refusal = f"holds a finished run. {look}. Or choose another --out, or remove it first."
    known: dict[str, str | None] = {MANIFEST: None if resume else refusal}
    if _is_interrupted(folder):
        refusal = "holds an interrupted run. Continue it with --resume, or remove it first."
        known[CHECKPOINT] = None if resume else refusal
    with naming_the_holder(folder):
        files.check_new(folder, "a run", known=known, error=RunError)


@contextmanager
def open_run(folder: Path, resume: bool, also: Iterable[str] = ()) -> Iterator[bool]:
    """Make a run folder and lock it; after an error, keep what was written only where it can be continued.

    Yields whether it holds a finished run, which it may with `resume`. `also` are the names of files that are written
    beside a run's own.

    Raises:
        RunError: see `check_new`; or another process writes into the folder.
        OutputError: the folder cannot be made.
    """
    check_new(folder, resume)
    with locked(folder, within=[CHECKPOINT]):
        check_new(folder, resume)  # again: another process may have finished a run
        if (folder / MANIFEST).exists():  # it is only looked at
            yield True
            Checkpoints(folder / CHECKPOINT).clear()  # its process was killed before it did
            return
        with output_errors(folder):
            (folder / CHECKPOINT).mkdir(exist_ok=True)
        try:
            yield False
        finally:
            if (folder / MANIFEST).exists():
                Checkpoints(folder / CHECKPOINT).clear()
            elif not (folder / CHECKPOINT / STATE).exists():
                remove_run(folder, also=also)


def remove_run(folder: Path, keep: Container[str] = (), also: Iterable[str] = ()) -> None:
    """Remove what a run consists of, and its folder where nothing else lies in it; whatever cannot be removed stays.

    Args:
        folder: the run folder.
        keep: names of files that stay.
        also: names of further files that were written for the run.
    """
    with suppress(OSError):
        for name in (MANIFEST, *also, INDEX, FACTS, NEW_ITEMS, WORDS, *reversed(FILES)):
            if name not in keep:
                with suppress(OSError):
                    (folder / name).unlink(missing_ok=True)
        _remove_events(folder / TENSORBOARD)
        remove_partial(folder)
        Checkpoints(folder / CHECKPOINT).clear()  # last: it shows that the rest is an interrupted run's
        folder.rmdir()


def save_artifact(
    fitted: FittedModel, folder: Path, also: Mapping[str, Callable[[FittedModel], pl.DataFrame]] | None = None
) -> None:
    """Write a run into a folder that `open_run` made; the manifest comes last.

    Args:
        fitted: what is written.
        folder: the run folder.
        also: further tables, by the name of their Parquet file; the manifest lists them too.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    write_text(folder / CONFIG, dump_toml(fitted.config))
    new = fitted.new_items
    save_split(folder, fitted.split, new.item_ids if new is not None else ())
    write_json(folder / METRICS, fitted.metrics)
    write_json_lines(folder / LOG, fitted.history)
    with atomic_file(folder / WEIGHTS) as path:
        save_file(plain_tensors(fitted.model.state_dict()), path)
    tables = dict(also or {})
    if new is not None:
        makers = {NEW_ITEMS: new_items_table, WORDS: words_table}
        tables |= {name: partial(_new_items_of, make, new) for name, make in makers.items()}
    for name, table in tables.items():
        with atomic_file(folder / name) as path:
            table(fitted).write_parquet(path)
    system = {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "machine": platform.machine(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    FORMAT.write_manifest(folder, {**system, **fitted.facts}, tables)


def load_artifact(folder: Path) -> FittedModel:
    """Read a run folder, after checking every file.

    Raises:
        RunError: there is no finished run, it is damaged, or from another version.
    """
    manifest = read_manifest(folder)
    with damage(folder):
        vocabulary = load_vocabulary(folder)
    found = _load_model(folder, manifest, vocabulary)
    new = found.new_items
    with damage(folder):
        split = load_split(folder, manifest["split"], manifest["left_out"], new.item_ids if new is not None else ())
        metrics, history = _documents(folder)
    return FittedModel(found.config, found.model, split, found.facts, metrics, history, new)


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


def read_manifest(folder: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return a finished run's manifest, after checking its format and the checksums of these files, or of all.

    Raises:
        RunError: there is no finished run, it is of another format, or a file is missing or damaged.
    """
    if not has_file(folder / MANIFEST, RunError):
        if not folder.exists():
            raise RunError(f"{folder}: no such folder. Make one: mltfr fit FILE --out {word(folder)}")
        if folder.is_file():
            raise RunError(f"{folder}: is a file, and no run folder. Fit one to it: mltfr fit {word(folder)} --out RUN")
        if (folder / CHECKPOINT).is_dir():
            raise RunError(f"{folder}: this run was interrupted. Finish it: mltfr fit ... --resume.")
        raise RunError(f"{folder}: not a run folder ({MANIFEST} is missing). Give a folder of mltfr fit.")
    if names is None and not any((folder / name).exists() for name in (WEIGHTS, *SPLIT_FILES)):
        again = f"mltfr fit FILE --config {word(folder / CONFIG)} --out RUN, or keep_runs = true in a study."
        raise RunError(f"{folder}: keeps neither weights nor data, as the cells of a study. To have them: {again}")
    return FORMAT.read_manifest(folder, names)


def is_of_a_run(path: Path) -> bool:
    """Return whether a path in a run folder is what a run consists of, or hidden."""
    ours = (MANIFEST, INDEX, FACTS, NEW_ITEMS, WORDS, CHECKPOINT, TENSORBOARD, *FILES)
    return path.name.startswith(".") or path.name in ours


def other_settings(config: RunConfig, folder: Path) -> list[str]:
    """Return how `config` differs from the settings of an interrupted run: `training.epochs was 3 and is 4`, each.

    Nothing where there is no checkpoint, or where the run's settings cannot be read.
    """
    if not (folder / CHECKPOINT / STATE).exists():
        return []
    try:
        before = _settings(folder)
    except UNREADABLE:
        return []
    return differences(before.deciding(), config.deciding())


def read_settings(folder: Path) -> RunConfig:
    """Return a finished run's settings; of its files this one alone is checked.

    Raises:
        RunError: there is no finished run, it is of another format, or the file is damaged.
    """
    read_manifest(folder, [CONFIG])
    with damage(folder / CONFIG):
        return _settings(folder)


def _settings(folder: Path) -> RunConfig:
    return RunConfig.parse(upgrade_settings(load_toml(folder / CONFIG)))


def _is_interrupted(folder: Path) -> bool:
    """Return whether a folder holds a run that was begun: a checkpoint, or what is written before the first one."""
    if not Checkpoints(folder / CHECKPOINT).is_ours():
        return False
    if (folder / CHECKPOINT / STATE).exists() or not any((folder / name).exists() for name in FILES):
        return True
    try:
        _settings(folder)
    except UNREADABLE:  # somebody else's
        return False
    return True


def _remove_events(folder: Path) -> None:
    """Remove what TensorBoard reads."""
    with suppress(OSError):
        for path in () if folder.is_symlink() else folder.glob("events.out.tfevents.*"):
            path.unlink(missing_ok=True)
        folder.rmdir()


def _new_items_of(table: Callable[[NewItems], pl.DataFrame], new: NewItems, _: FittedModel) -> pl.DataFrame:
    return table(new)


def _documents(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the metrics and the log of training."""
    return read_json(folder / METRICS), read_json_lines(folder / LOG)


def _load_model(folder: Path, manifest: dict[str, Any], vocabulary: Vocabulary) -> InferenceModel:
    with damage(folder / CONFIG):
        config = _settings(folder)
    with damage(folder / WEIGHTS):
        weights = upgrade_weights(load_file(folder / WEIGHTS))
    model = restore(folder, config, manifest, len(vocabulary), weights)
    facts = {key: value for key, value in manifest.items() if key not in ("format", "files")}
    new = None
    if NEW_ITEMS in manifest["files"] and isinstance(model, NeuralModel):
        FORMAT.read_manifest(folder, [NEW_ITEMS, WORDS])
        with damage(folder / NEW_ITEMS):
            new = load_new_items(folder, manifest["new_items"], model.trained_vectors().shape[1], vocabulary)
    return InferenceModel(config, model, vocabulary, facts, new)
