"""`mltfr update`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.options import Reading, Run, reads_a_log
from mltfr.cli.output import say, say_written, stoppable, to_resume


@reads_a_log
def update(
    run: Run,
    new: Annotated[
        list[Path],
        typer.Argument(
            metavar="NEW...",
            help="Log of the rows that came after the run's, in any form that `mltfr fit` takes, several files too; it "
            "is read as the run's log was, unless options of reading say otherwise.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Run folder to write; it must be new or empty.", show_default=False)],
    epochs: Annotated[
        int,
        typer.Option(min=0, help="Epochs, at most, that training goes on from RUN's weights; 0 trains nothing."),
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted update; a finished one is shown.")
    ] = False,
    *,
    reading: Reading,
) -> None:
    """Take the rows of another day into a run: the users' histories go on, and new users come in.

    Usually: `mltfr update runs/mine tuesday.csv --out runs/tuesday`

    Nothing is trained by default: the model reads the longer histories. With --epochs it trains on, with new items,
    on all rows but the newest fifth of the new ones, which choose the epoch and are scored. Rows that are not later
    than the run's last one are left out. RUN stays as it is; OUT is a run like any other, and its manifest names the
    runs that it comes from. Prints how well the new rows are predicted, each from all that its user did before, and
    where the run stands with them.
    """
    from mltfr.cli.output import print_scores
    from mltfr.pipeline import check_new, load_artifact, read_new_rows
    from mltfr.pipeline import update as update_run
    from mltfr.training import Console

    check_new(out, resume)
    parent = load_artifact(run)
    log = read_new_rows(parent.config, new, **reading)
    with stoppable(to_resume(out)) as stop:
        updated, rows = update_run(
            parent, log, out, run.resolve().name, epochs=epochs, resume=resume, callback=Console(), stop=stop
        )
    say(rows, err=True)
    if updated.metrics:
        print_scores(updated.metrics)
        say(updated.verdict)
    say_written(out)
