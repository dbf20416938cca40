"""The teacher of a fit: a finished run whose probabilities at the training positions a network learns too."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mltfr.errors import OutputError
from mltfr.inference import BlendScorer, Rules, Scorer
from mltfr.inference.top_k import scoring_batches
from mltfr.interactions import Histories, History, Split
from mltfr.losses.distillation import Distillation, DistillationConfig
from mltfr.pipeline.alike import require_alike
from mltfr.pipeline.artifact import CONFIG, load_artifact, read_manifest
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.restore import WEIGHTS
from mltfr.storage.files import atomic_file
from mltfr.storage.main_memory import readable
from mltfr.storage.progress import SILENT, Progress
from mltfr.training import Interrupted
from mltfr.training.checkpoint import teacher_file
from mltfr.training.teacher import Teacher, row_type

PIECE = 1 << 14
"""Training positions whose histories are laid out together."""
Rows = npt.NDArray[Any]


@dataclass(frozen=True)
class _Pupil:
    """The run that is to be fitted."""

    config: RunConfig
    split: Split
    facts: Mapping[str, Any]


def teacher_facts(config: RunConfig) -> dict[str, Any]:
    """Return what the manifest says of a run's teacher: nothing where it has none.

    Raises:
        RunError: the teacher's folder holds no finished run.
    """
    if not config.distillation.teacher:
        return {}
    folder = Path(config.distillation.teacher)
    files = read_manifest(folder, [CONFIG, WEIGHTS])["files"]
    fingerprint = hashlib.sha256(f"{files[CONFIG]} {files[WEIGHTS]}".encode()).hexdigest()
    return {"teacher": {"run": folder.resolve().name, "fingerprint": fingerprint}}


def read_teacher(
    config: RunConfig,
    data: Split,
    facts: Mapping[str, Any],
    checkpoint: Path | None,
    progress: Progress = SILENT,
    stop: Event | None = None,
) -> Teacher | None:
    """Return a run's teacher, what it thinks computed or read from a file; None where there is none.

    Memory does not grow with the log: rows are written to a file and read from it as they are needed.

    Args:
        config: the settings of the run that is to be fitted.
        data: its log, split.
        facts: what its manifest will say, the teacher's fingerprint among it.
        checkpoint: the folder of its checkpoints, where the rows are kept until the training is over; None for a
            temporary file.
        progress: told of the work.
        stop: when set, the work is given up.

    Raises:
        Interrupted: `stop` was set.
        RunError: the teacher's folder holds no finished run.
        DataError: the teacher is of other data, filters, splits or items.
        OutputError: the rows do not fit on the disk.
    """
    settings = config.distillation
    if not settings.teacher:
        return None
    loss = Distillation(settings)
    histories, items = data.train_histories(), len(data.vocabulary)
    kind, count = row_type(min(settings.top, items)), len(histories.items)
    path = None if checkpoint is None else teacher_file(checkpoint, _key(settings, facts))
    if path is not None and (kept := _kept(path, kind, count)) is not None:
        return Teacher(kept, loss)
    _require_room(path.parent if path is not None else Path(tempfile.gettempdir()), kind.itemsize * count)
    folder = Path(settings.teacher)
    fitted = load_artifact(folder)
    require_alike("this fit", _Pupil(config, data, facts), folder.resolve().name, fitted, "teach")
    scorer = BlendScorer([fitted.model.scorer()], [1.0])
    if path is None:
        with tempfile.TemporaryFile() as file:  # gone when nothing maps it any more
            rows: Rows = np.memmap(file, kind, "w+", shape=(count,))
        fill(rows, scorer, histories, settings, progress, stop)
        return Teacher(rows, loss)
    with atomic_file(path) as temporary:
        rows = np.lib.format.open_memmap(temporary, mode="w+", dtype=kind, shape=(count,))
        fill(rows, scorer, histories, settings, progress, stop)
        rows.flush()
        del rows
    return Teacher(np.lib.format.open_memmap(path, mode="r"), loss)


def _kept(path: Path, kind: np.dtype[Any], count: int) -> Rows | None:
    """Return the rows of an interrupted run; None where they have to be computed."""
    try:
        rows = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError):
        return None
    return rows if rows.dtype == kind and rows.shape == (count,) else None


def _require_room(folder: Path, needed: int) -> None:
    """Refuse rows that do not fit on the disk: a process that writes to a mapped file there is killed."""
    if needed > (free := shutil.disk_usage(folder).free):
        raise OutputError(
            f"{folder}: what the teacher thinks at every training position takes {readable(needed)}, and only "
            f"{readable(free)} are free. Free some space, or lower distillation.top."
        )


def fill(
    rows: Rows,
    scorer: Scorer,
    histories: Histories,
    settings: DistillationConfig,
    progress: Progress = SILENT,
    stop: Event | None = None,
) -> None:
    """Write what a teacher thinks comes at every place of the training histories, from all that is before it.

    The first place of a history has nothing before it, and stays zero: it is no target.

    Args:
        rows: `[T]`, of `row_type`.
        scorer: scores are probabilities.
        histories: the training histories.
        settings: how many items, and the temperature.
        progress: advanced by every place.
        stop: when set, `Interrupted` is raised.
    """
    top = rows.dtype["codes"].shape[0]
    progress.start("asking the teacher", len(histories.items) - len(histories))
    for places, prefixes in _prefixes(histories):
        for batch in scoring_batches(scorer, prefixes, Rules(remove_seen=False)):
            with torch.inference_mode():
                probable, columns = batch.scores(1, scorer.items + 1).topk(top, 1)  # [B, n], [B, n]
                shares = probable.double().pow(1 / settings.temperature)
                shares /= shares.sum(1, keepdim=True)
            if stop is not None and stop.is_set():
                raise Interrupted
            found = places[batch.index]
            rows["codes"][found] = (columns + 1).cpu().numpy()
            rows["shares"][found] = shares.cpu().numpy()
            progress.advance(len(batch.index))


def _prefixes(histories: Histories) -> Iterator[tuple[npt.NDArray[np.int64], list[History]]]:
    """Yield places of the flat histories that have something before them, `[P]`, and what is before each."""
    users = np.repeat(np.arange(len(histories)), histories.lengths)      # [T]
    first = histories.offsets[:-1][users]                                # [T]
    inside = np.flatnonzero(np.arange(len(users)) > first)
    for start in range(0, len(inside), PIECE):
        places = inside[start : start + PIECE]
        yield places, [histories.items[first[place] : place] for place in places.tolist()]


def _key(settings: DistillationConfig, facts: Mapping[str, Any]) -> str:
    """Return 16 hex digits for the teacher, what is asked of it, and where."""
    asked = [facts["teacher"]["fingerprint"], facts.get("data_fingerprint"), settings.top, settings.temperature]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
