"""`mltfr blend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.output import say, say_written


def blend(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders of one log, baselines and blends too.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Run folder to write; it must be new or empty.", show_default=False)],
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of the runs, separated by commas, in any unit.",
            show_default="those under which validation is most probable",
        ),
    ] = None,
) -> None:
    """Blend fitted runs into one: the score of an item is the weighted mean of their probabilities.

    Usually: `mltfr blend runs/sasrec runs/bsarec runs/item-knn --out runs/blend`

    The runs may be of any kind, but must be of the same log, filters and split. A network's probabilities are the
    softmax of its scores over all items; baselines share theirs out. The weights are chosen on validation. A run that
    is a blend itself stands for its members. OUT is a run like any other, and needs the runs that it was made of no
    more. Prints the weight and the own validation score of every run, what a request costs, and where the blend
    stands beside its best member.
    """
    from mltfr.cli.output import print_scores
    from mltfr.errors import ConfigError
    from mltfr.pipeline.artifact import check_new
    from mltfr.pipeline.blend import blend as blend_runs
    from mltfr.pipeline.blend import check_weights
    from mltfr.pipeline.compare import names_of
    from mltfr.training import Console

    check_new(out, resume=False)
    given = None
    if weights is not None:
        try:
            given = [float(weight) for weight in weights.split(",")]
        except ValueError:
            raise ConfigError(f"--weights is '{weights}'; expected numbers separated by commas, as in 2,1.") from None
        check_weights(given, len(runs))
    blended = blend_runs(names_of(runs), out, given, callback=Console())
    if blended.metrics:
        print_scores(blended.metrics)
        say(blended.verdict)
    say_written(out)
