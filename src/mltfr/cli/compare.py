"""`mltfr compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.options import Json
from mltfr.cli.output import say


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Two or more run folders written by `mltfr fit`.", show_default=False),
    ],
    metric: Annotated[str, typer.Option(help="What to compare by: one of the metrics of `mltfr evaluate`.")] = (
        "ndcg@10"
    ),
    json: Json = False,
) -> None:
    """Say which of several runs is better, user by user, and whether that can be chance.

    Usually: `mltfr compare runs/mine runs/plain`

    Runs are compared on the test split of one log, by one protocol; a run of other data or settings is refused.
    """
    from mltfr.pipeline.compare import compare_runs
    from mltfr.storage.progress import show_progress

    with show_progress(quiet=json) as progress:
        found = compare_runs(runs, metric, progress)
    if json:
        from json import dumps

        say(dumps(found.to_json(), indent=2))
    else:
        say(found)
