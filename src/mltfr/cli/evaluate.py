"""`mltfr evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from mltfr.cli.options import Json, Run
from mltfr.cli.output import say


def evaluate(
    run: Run,
    split: Annotated[str, typer.Option(help="Which held-out items: test or validation.")] = "test",
    json: Json = False,
) -> None:
    """Score a fitted run again: rank each user's held-out item among all items that training knows.

    Usually: `mltfr evaluate runs/mine`
    """
    from mltfr.cli.output import print_scores
    from mltfr.errors import ConfigError, one_of

    if split not in ("test", "validation"):
        raise ConfigError(f"Unknown split '{split}'. {one_of(split, ('test', 'validation'))}")
    from mltfr.recommender import Recommender
    from mltfr.storage.progress import show_progress

    recommender = Recommender.load(run)
    with show_progress(quiet=json) as progress:
        result = recommender.evaluate("test" if split == "test" else "validation", progress=progress)
    document = result.to_json(run.resolve().name)
    if json:
        from json import dumps

        say(dumps(document, indent=2))
    else:
        print_scores(document)
