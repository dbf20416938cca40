"""`mltfr study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mltfr.cli.options import Address, Engine, Workers
from mltfr.cli.output import say


def study(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The study file; studies/ holds ready ones.")],
    out: Annotated[Path, typer.Option(help="Study folder to write; it must be new or empty.", show_default=False)],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue: finished cells are kept, interrupted ones go on.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Cells that run at once. On a GPU they share it.", show_default="one per core"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS=LABELS",
            help="Run only these cells: data=, backbone=, fusion=, tables=, window=, draw= or seed=, then labels "
            "separated by commas. May be repeated. The tables are of all that is finished, so that a study can be run "
            "in several steps.",
            show_default=False,
        ),
    ] = None,
    engine: Engine = None,
    workers: Workers = None,
    address: Address = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=FILE",
            help="Interaction log of a data set of the study, instead of the file it names; may be repeated.",
            show_default=False,
        ),
    ] = None,
    item_names: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=FILE",
            help="Names of a data set's items, instead of the file that the study names; may be repeated.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare fusions on several backbones, data sets and seeds, and test whether they differ.

    Usually: `mltfr study mine.toml --out mine`

    Every backbone runs with every fusion and every seed, each cell in a process of its own, all with the same
    loss, batches, stopping rule, split and evaluation. Kill it at any time and run it again with --resume.
    With rolling = {windows = 4, span = "28d"} below \\[data.mine] it is a backtest: all cells at four moments.
    Prints the tables; the folder holds them as Markdown, LaTeX and Parquet, and plots. A study file:

    \b
        title = "Does it help?"
        seeds = \\[0, 1, 2]
        baselines = \\["popularity"]
        \\[data.mine]
        file = "interactions.csv"
        \\[settings]
        training.samples = "positions"
        \\[backbones.sasrec]
        \\[backbones.bert4rec]
        \\[fusions.none]
        \\[fusions.mltfr]
        \\[fusions.random]
        \\[blends.blend]
        members = \\["mltfr", "popularity"]
        \\[tables.three]
        tables = \\["smollm2-135m", "wordllama", "minilm-l6"]
    """
    from mltfr.cli.engines import check_engine
    from mltfr.study import run_study
    from mltfr.training import stop_request

    check_engine(engine, workers, address)
    named = _files(item_names or [], "--item-names")
    more: dict[str, Any] = {"resume": resume, "only": only or [], "data": _files(data or []), "names": named}
    with stop_request() as stop:
        if engine == "ray":
            from mltfr.cluster import study_with_ray

            outcome = study_with_ray(file, out, workers or jobs, address, stop=stop, **more)
        else:
            outcome = run_study(file, out, jobs=jobs, stop=stop, **more)
    for cell, message in outcome.failures.items():
        say(f"mltfr: cell {cell} failed: {message}", err=True)
    if outcome.stopped:
        say(
            f"mltfr: stopped with {outcome.done} of {outcome.cells} cells finished; continue with the same command "
            f"and --resume ({out}).",
            err=True,
        )
        raise typer.Exit(130)
    if outcome.summary is not None:
        say(outcome.summary.read_text(encoding="utf-8"))
        say(f"Study written to {out}.")
        for winner in outcome.winners:
            say(winner)
    if outcome.failures:
        raise typer.Exit(1)


def _files(data: list[str], option: str = "--data") -> dict[str, Path]:
    from mltfr.errors import ConfigError

    files = {}
    for text in data:
        label, separator, file = text.partition("=")
        if not separator or not file:
            raise ConfigError(f"{option} {text!r} is not LABEL=FILE. Example: {option} mine=interactions.csv")
        files[label] = Path(file)
    return files
