"""`mltfr evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.options import Json, Reading, Run, reads_a_log
from mltfr.cli.output import say


@reads_a_log
def evaluate(
    run: Run,
    split: Annotated[str, typer.Option(help="Which held-out items: test or validation.")] = "test",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="NEW",
            help="Log of rows that came after the run's: each is predicted from all that its user did before.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    *,
    reading: Reading,
) -> None:
    """Score a fitted run again: rank each user's held-out item among all items that training knows.

    Usually: `mltfr evaluate runs/mine`

    With --data it is scored on rows that it never saw, for drift and backtests. Popularity stands beside it. NEW is
    read as the run's log was; options of reading (--format and below) say what differs.
    """
    from mltfr.cli.output import print_scores
    from mltfr.errors import ConfigError, one_of

    if split not in ("test", "validation"):
        raise ConfigError(f"Unknown split '{split}'. {one_of(split, ('test', 'validation'))}")
    if data is None and (given := [name for name, value in reading.items() if value]):
        raise ConfigError(f"--{given[0].replace('_', '-')} is for the log of --data, and none is given. Leave it out.")
    if data is not None and split != "test":
        raise ConfigError(f"--data scores new rows, which are no part of '{split}'. Leave out --split or --data.")
    from mltfr.evaluation import SplitName
    from mltfr.evaluation import evaluate as measure
    from mltfr.interactions.read_as import read_as_facts, tell_read_as
    from mltfr.pipeline import load_artifact, read_new_rows, to_evaluate
    from mltfr.storage.progress import show_progress

    fitted, new = load_artifact(run), None
    if data is not None:
        log = read_new_rows(fitted.config, data, **reading)
        with show_progress() as progress:
            tell_read_as(log.read_as, progress)
        fitted, new = to_evaluate(fitted, log)
        say(new, err=True)
    fitted = fitted.for_test() if split == "test" else fitted
    name: SplitName = "test" if split == "test" else "validation"
    with show_progress(quiet=json) as progress:
        result = measure(fitted.scorer(), fitted.split, name, fitted.protocol(), details=True, progress=progress)
    document = result.to_json(run.resolve().name)
    if new is not None:
        popularity = measure(fitted.popularity(), fitted.split, name, fitted.protocol())
        document |= {"popularity": dict(popularity.metrics), "new_rows": new.to_json(), **read_as_facts(log.read_as)}
    if json:
        from json import dumps

        say(dumps(document, indent=2))
    else:
        print_scores(document)
