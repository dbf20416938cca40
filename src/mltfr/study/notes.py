"""Notes of a study's summary, and the copy of the study file in its folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from mltfr.config import load_toml
from mltfr.pipeline.artifact import CONFIG
from mltfr.pipeline.data_counts import DataCounts
from mltfr.storage.folder import MANIFEST
from mltfr.study.cell import Cell, Group
from mltfr.study.config import StudyConfig
from mltfr.study.folder import StudyFolder
from mltfr.study.inputs import StudyInputs
from mltfr.study.results import read_run
from mltfr.study.tuning import GroupTuning
from mltfr.version import __version__

RUN_BY = "# Run by mltfr"
"""What the comments on a study file begin with."""


def notes_on(
    study: StudyConfig,
    cells: Sequence[Cell],
    tunings: Mapping[Group, GroupTuning],
    failures: Mapping[str, str],
) -> list[str]:
    """Return the remarks of the summary: the search, cells that failed."""
    notes = []
    if study.tuning is not None:
        rolling = any(data.rolling is not None for data in study.data.values())
        each = " Every window has a search of its own, which sees nothing later than its validation." if rolling else ""
        notes.append(
            f"Tuned on validation by {study.metrics[0]}: {study.tuning.trials} trials for every backbone with every "
            f"fusion, over {', '.join(study.tuning.space)}; test was not scored.{each}"
        )
    for group, tuning in tunings.items():
        best = tuning.best()
        if best is not None:
            chosen = ", ".join(f"{key} = {value}" for key, value in best["settings"].items())
            notes.append(f"{group}: trial {best['trial']} of {tuning.trials} was the best ({chosen}).")
    notes += [f"Cell {name} is missing, since it failed: {message}" for name, message in failures.items()]
    return notes


def data_notes(folder: StudyFolder, cells: Iterable[Cell]) -> list[str]:
    """Return how large the parts of every data set are, and of every window: what its first finished cell says."""
    notes: dict[str, str] = {}
    for cell in cells:
        label = " / ".join(filter(None, (cell.group.data, cell.group.window)))
        if label in notes or not folder.has(cell):
            continue
        metrics = read_run(folder.run(cell)).metrics
        if "counts" in metrics:  # else it is a cell of an earlier version
            notes[label] = f"Data set {label}: {DataCounts.from_json(metrics['counts']).paragraph}"
    return list(notes.values())


def samples_notes(folder: StudyFolder, cells: Iterable[Cell]) -> list[str]:
    """Return a remark where finished cells of one data set were trained on unlike samples, which `auto` may lead to."""
    trained: dict[str, dict[str, set[str]]] = {}
    for cell in cells:
        run, group = folder.run(cell), cell.group
        if cell.is_trained and (run / MANIFEST).exists() and (run / CONFIG).exists():
            kind = load_toml(run / CONFIG)["training"]["samples"]
            if kind != "auto":  # trained by masking, whatever stands there
                name = f"{group.backbone} + {group.fusion}" + f" in {group.window}" * bool(group.window)
                trained.setdefault(group.data, {}).setdefault(kind, set()).add(name)
    return [
        f"Data set {label}: not all recommenders are trained on the same kind of samples ("
        + "; ".join(f"{kind}: {', '.join(sorted(of))}" for kind, of in sorted(kinds.items()))
        + "). Compare those of one kind with each other, or set training.samples."
        for label, kinds in trained.items()
        if len(kinds) > 1
    ]


def resolved(file: Path, study: StudyConfig, cells: Sequence[Cell], inputs: StudyInputs, before: str = "") -> str:
    """Return the study file's text, followed by comments on what it came to.

    Args:
        file: the study file.
        study: what it says.
        cells: all its cells.
        inputs: the data sets that are open.
        before: what this returned for the folder the last time; what it says of the other data sets still stands.
    """
    said_before = before[before.rfind(RUN_BY) :].splitlines() if RUN_BY in before else []
    lines = ["", f"{RUN_BY} {__version__} with torch {torch.__version__}. {len(cells)} cells:"]
    lines += [f"#   {cell.name}" for cell in cells]
    for label in study.data:
        about = f"# Data set {label}"
        if label not in inputs.fingerprints:
            lines += [line for line in said_before if line.startswith((f"{about}:", f"{about},"))]
            continue
        lines.append(f"{about}: {inputs.interactions[label]} interactions, SHA-256 {inputs.fingerprints[label]}")
        if label in inputs.windows:
            lines += [
                f"{about}, {window}: validation from {borders['split']['validation_from']}, test from "
                f"{borders['split']['test_from']} to {borders['filters']['until']}"
                for window, borders in zip(study.data[label].windows, inputs.windows[label], strict=True)
            ]
    lines.append("# The complete settings of every cell stand in its config.toml.")
    return file.read_text(encoding="utf-8").rstrip("\n") + "\n" + "\n".join(lines) + "\n"
