"""`mltfr export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mltfr.cli.options import Json, Overwrite, Run
from mltfr.cli.output import say


def export(
    run: Run,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder to write.", show_default=False)],
    format: Annotated[
        Literal["onnx", "torch"],
        typer.Option(help="onnx, for numpy and onnxruntime; or torch, a program that torch alone runs."),
    ] = "onnx",
    k: Annotated[int, typer.Option("-k", min=1, help="How many items the model returns, at most.")] = 10,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a run as a model that works without mltfr: item ids in, item ids out.

    Usually: `mltfr export runs/mine --out exported`

    The folder holds one graph from a history to the best items, with excluded items as an input, for batches and
    histories of any size; the items' ids; a README; and an example that runs with numpy and onnxruntime, or torch,
    alone. Its answers are compared with the run's for held-out users; where they differ, nothing is written.
    Networks can be exported, and blends of networks; no baselines, and no run of preset `reference`.
    """
    from json import dumps

    from mltfr.export.folder import check_export

    check_export(out, format, overwrite)
    from mltfr import Recommender
    from mltfr.storage.progress import show_progress

    recommender = Recommender.load(run)
    with show_progress() as progress:
        parity = recommender.export(out, format, k, overwrite=overwrite, progress=progress)
    if json:
        say(dumps(parity.to_json(), indent=2))
        return
    text = str(parity)
    say(f"{text[0].upper()}{text[1:]} ({parity.users:,} held-out histories, {parity.made_up} made-up ones).")
    if parity.exported is not None and parity.run is not None:
        say(f"{parity.metric}: {parity.exported:.4f} exported, {parity.run:.4f} of the run.")
    say(f"Exported to {out}. Try it: python {out / 'example.py'}")
