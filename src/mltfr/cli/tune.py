"""`mltfr tune`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.auto import ItemNames, Log, OnError, Resume, Set, Settings, listed, read_request, show
from mltfr.cli.options import NameColumns, Reading, Where, reads_a_log, with_options
from mltfr.cli.output import stoppable, to_resume


@reads_a_log
def tune(
    file: Log,
    out: Annotated[Path, typer.Option(help="Folder to write; it must be new or empty.", show_default=False)],
    trials: Annotated[int, typer.Option(min=1, help="Trials; the first one is of the settings as they are.")] = 30,
    time_: Annotated[str, typer.Option("--time", metavar="TIME", help="Time to spend, as in 90s, 30m or 2h.")] = "2h",
    backbone: Annotated[str, typer.Option(help="Sequence encoder, as for `mltfr fit`.")] = "sasrec",
    fusion: Annotated[str, typer.Option(help="How token tables are used, as for `mltfr fit`.")] = "none",
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=CHOICES",
            help="A setting that is searched: KEY=a,b,c, or a range KEY=LOW..HIGH, with :log for its logarithm and "
            ":int for whole numbers; may come several times.",
            show_default="learning rate, dropout, width and blocks",
        ),
    ] = None,
    item_names: ItemNames = None,
    name_columns: NameColumns = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            help="Token tables of the fusion, and of names with names.read=tables, separated by commas.",
            show_default="the usual",
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="Validation metric that decides.")] = "ndcg@10",
    config: Settings = None,
    set_: Set = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search and of its trainings.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of a trial; trials go one after the other.")] = 1,
    on_error: OnError = "continue",
    resume: Resume = False,
    *,
    reading: Reading,
    where: Where = None,
) -> None:
    """Search the settings of a backbone with a fusion, by trials on validation.

    Usually: `mltfr tune interactions.csv --out runs/tuned --trials 30 --time 2h`

    For example over two settings: `mltfr tune interactions.csv --out runs/rates --vary
    training.learning_rate=1e-4..1e-2:log --vary backbone.blocks=1,2,3`

    Trials follow each other, so that each one learns from all before it (TPE); a search that is stopped or killed goes
    on with --resume as if it had not been. The best trial is the run in best/, whose config.toml `mltfr fit --config`
    takes; test is scored once, for that one. leaderboard.parquet has all trials, beside baselines, and report.html too.
    """
    began = time.monotonic()
    from mltfr.search.request import Request
    from mltfr.search.tune import parse_space
    from mltfr.search.tune import tune as search
    from mltfr.storage.duration import seconds_of

    data, settings = read_request(file, with_options(set_, where, reading), config, item_names, name_columns)
    request = Request(
        data, seconds_of(time_, "--time"), settings, trials=trials, metric=metric, tokens=listed(tokens), seed=seed,
        threads=threads, jobs=1, on_error=on_error,
    )  # fmt: skip
    with stoppable(to_resume(out)) as stop:
        outcome = search(request, out, backbone, fusion, parse_space(vary or []), resume=resume, stop=stop, began=began)
    show(outcome, metric, out)
