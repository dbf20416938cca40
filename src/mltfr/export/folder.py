"""The exported folder: the model, the items' ids, an example that runs without mltfr, and what was checked.

    model.onnx or model.pt2    the graph: codes in, codes and scores out
    items.json                 item ids by code; the code 0 is no item
    example.py                 item ids in, item ids out, with numpy and onnxruntime, or with torch
    README.md                  what it is and how it is used
    parity.json                how its answers compare with the run's
    manifest.json              inputs, outputs, settings, versions, and the checksums of all these files

It appears complete, or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import torch

from mltfr.errors import MltfrError, OutputError
from mltfr.export import example
from mltfr.export.example import ExportedModel
from mltfr.export.formats import MODEL, check_format, write_model
from mltfr.export.graph import INPUTS, OUTPUTS, ExportGraph, graph_of
from mltfr.export.parity import Parity, measure_parity
from mltfr.export.readme import readme
from mltfr.inference.recommend import check_k
from mltfr.pipeline.fitted import FittedModel
from mltfr.storage.atomic_folder import atomic_folder
from mltfr.storage.files import check_new, output_errors, write_json, write_text
from mltfr.storage.folder import MANIFEST, FolderFormat
from mltfr.storage.progress import SILENT, Progress

ITEMS, EXAMPLE, README, PARITY = "items.json", "example.py", "README.md", "parity.json"
KIND = "export"
FORMAT = FolderFormat(
    KIND, 1, (ITEMS, EXAMPLE, README, PARITY), error=OutputError, remedy="Export the run again.", kind=KIND, sizes=True
)
POPULAR = 3
"""Items of the example's history, the most frequent ones: it tells of no user."""


def check_export(folder: Path, format: str, overwrite: bool = False) -> None:
    """Refuse a folder or a format before any work is done.

    Raises:
        ConfigError: the format is unknown, or needs a newer torch.
        MissingExtraError: it needs the extra `export`.
        OutputError: the folder holds something, which is replaced only if it is an export and that is asked for.
    """
    check_format(format)
    if not str(folder).isprintable():
        raise OutputError(f"{str(folder)!a}: a name with characters that cannot be printed. Choose another --out.")
    if os.path.lexists(folder) and not folder.exists():
        raise OutputError(f"{folder}: is a link to nowhere. Choose another --out.")
    if (folder / MANIFEST).is_file():
        refusal = None if overwrite else "exists. Choose another --out, or give --overwrite to replace it."
        if FORMAT.names(folder):
            check_new(folder, "an export", known={MANIFEST: refusal})
            return
    check_new(folder, "an export")


def write_export(
    fitted: FittedModel,
    folder: Path,
    format: str = "onnx",
    k: int = 10,
    *,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> Parity:
    """Write a fitted model as a folder that works without mltfr, and return how its answers compare with the run's.

    Args:
        fitted: the run.
        folder: the folder to write.
        format: "onnx" or "torch".
        k: items of a list at most.
        overwrite: whether an export that is there is replaced.
        progress: receives how many histories are compared.

    Raises:
        ConfigError: the run, the format or k does not allow an export.
        MissingExtraError: the extra `export` is not installed.
        OutputError: the folder holds something else, or cannot be written.
        MltfrError: the exported model does not answer as the run does; nothing is written then.
    """
    check_export(folder, format, overwrite)
    graph = graph_of(fitted, check_k(k))
    destination = folder.absolute()
    with output_errors(folder), atomic_folder(destination.parent) as made:
        facts = _write_model(graph, fitted, format, made.path)
        parity = measure_parity(fitted, ExportedModel(made.path, torch.get_num_threads()), progress)
        if not parity.holds:
            raise MltfrError(_mismatch(parity, format))
        write_json(made.path / PARITY, {**parity.to_json(), **facts})
        write_text(made.path / README, readme(fitted, graph, parity, facts, _printed(made.path)))
        (made.path / MANIFEST).unlink()
        FORMAT.write_manifest(made.path, _about(fitted, graph, facts, parity), _models(made.path, format))
        check_export(folder, format, overwrite)  # again: somebody else may have written there
        made.publish(destination.name, repair=True)
    return parity


def _write_model(graph: ExportGraph, fitted: FittedModel, format: str, folder: Path) -> dict[str, Any]:
    """Write what the example reads, and return the versions it was made with."""
    write_text(folder / ITEMS, json.dumps([None, *fitted.split.vocabulary.item_ids]) + "\n")
    shutil.copyfile(Path(example.__file__), folder / EXAMPLE)
    facts = write_model(graph, format, folder)
    write_json(folder / MANIFEST, _about(fitted, graph, facts))
    return facts


def _about(
    fitted: FittedModel, graph: ExportGraph, facts: Mapping[str, Any], parity: Parity | None = None
) -> dict[str, Any]:
    """Return what the manifest says beside checksums."""
    counts = np.asarray(fitted.split.vocabulary.counts)
    return {
        "model": fitted.config.title,
        **{name: value for name, value in facts.items() if name != "format"},
        "written_as": facts["format"],
        "inputs": dict.fromkeys(INPUTS, "int64"),
        "outputs": dict(zip(OUTPUTS, ("int64", "float32"), strict=True)),
        "items": len(counts) - 1,
        "k": graph.k,
        "max_length": graph.window,
        "padded_to_max_length": graph.fixed,
        "remove_seen": fitted.config.evaluation.remove_seen,
        "popular": (np.argsort(-counts[1:], kind="stable")[:POPULAR] + 1).tolist(),
        "data_fingerprint": fitted.facts.get("data_fingerprint"),
        "protocol_hash": fitted.protocol().hash,
        "tables": [table["name"] for table in fitted.facts.get("tables", [])],
        **({} if parity is None else {"parity": parity.to_json()}),
    }


def _models(folder: Path, format: str) -> list[str]:
    """Return the files of the model; weights beyond what one ONNX file holds lie beside it."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(MODEL[format]))


def _printed(folder: Path) -> str:
    """Return what the example prints, run as it stands in the folder."""
    module = run_path(str(folder / EXAMPLE), run_name="example")
    with redirect_stdout(StringIO()) as printed:
        module["main"]([])
    return printed.getvalue()


def _mismatch(parity: Parity, format: str) -> str:
    other = "torch" if format == "onnx" else "onnx"
    return (
        f"The exported model does not answer as the run does: only {parity}, where {parity.tolerance:.1e} is allowed. "
        f"Nothing was written. Try --format {other}, or another version of its packages."
    )
