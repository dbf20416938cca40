"""`mltfr auto`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mltfr.cli.options import NameColumns, Reading, Where, reads_a_log, with_options
from mltfr.cli.output import say, say_written, stoppable, to_resume
from mltfr.errors import word

if TYPE_CHECKING:
    from mltfr.search.request import Outcome

Log = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Interaction log, as for `mltfr fit`.", show_default=False)
]
ItemNames = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What the items are called, as for `mltfr fit`; or `ids`, where ids are words.",
        show_default=False,
    ),
]
Settings = Annotated[Path | None, typer.Option(help="TOML file with settings of all runs.", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting of all runs; may come several times."),
]
OnError = Annotated[
    Literal["continue", "abort"], typer.Option(help="Whether the search goes on after a run that fails, or ends.")
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Runs at once.", show_default="one per core")]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue a search that was stopped or killed; its time is that of all commands."),
]


@reads_a_log
def auto(
    file: Log,
    out: Annotated[Path, typer.Option(help="Folder to write; it must be new or empty.", show_default=False)],
    time_: Annotated[str, typer.Option("--time", metavar="TIME", help="Time to spend, as in 90s, 30m or 2h.")] = "30m",
    preset: Annotated[
        Literal["quick", "good", "best"],
        typer.Option(help="How much is tried: defaults only, drawn settings too, or more backbones and more of those."),
    ] = "good",
    item_names: ItemNames = None,
    name_columns: NameColumns = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="Token tables to try, separated by commas; see `mltfr tokens list`.", show_default=False),
    ] = None,
    metric: Annotated[str, typer.Option(help="Validation metric that decides.")] = "ndcg@10",
    trials: Annotated[
        int | None,
        typer.Option(
            min=0, help="Networks with drawn settings; a search with a number is repeatable if its time suffices.",
            show_default="as the time allows",
        ),
    ] = None,
    config: Settings = None,
    set_: Set = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of draws and trainings.")] = 0,
    jobs: Jobs = None,
    on_error: OnError = "continue",
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Then fit what is chosen anew on all of the log, validation and test too, into OUT/refitted; the time "
            "of that comes on top, and where it is stopped it begins again with --resume.",
        ),
    ] = False,
    resume: Resume = False,
    *,
    reading: Reading,
    where: Where = None,
) -> None:
    """Find the best recommender for a log in a given time.

    Usually: `mltfr auto interactions.csv --out runs/auto --time 30m`

    First the baselines, which take seconds; then networks at their defaults, with the words of --item-names and with
    --tokens where given; then more like the first with drawn settings, by successive halving; last a blend of at most
    five, which is kept only if the interval of its gain excludes zero. All is chosen on validation; test is scored
    once, for what is chosen. The folder has that run in best/, everything that was tried in leaderboard.parquet, and
    report.html. The time holds, also while one training is long: it ends with the best epoch so far.
    """
    began = time.monotonic()
    from mltfr.search.auto import auto as search
    from mltfr.search.request import Request
    from mltfr.storage.duration import seconds_of

    data, settings = read_request(file, with_options(set_, where, reading), config, item_names, name_columns)
    request = Request(
        data, seconds_of(time_, "--time"), settings, preset, trials, metric, listed(tokens), seed, jobs=jobs,
        on_error=on_error, refit=refit,
    )  # fmt: skip
    with stoppable(to_resume(out)) as stop:
        outcome = search(request, out, resume=resume, stop=stop, began=began)
    show(outcome, metric, out)


def read_request(
    file: list[Path], given: list[str], config: Path | None, item_names: Path | None, name_columns: str | None
) -> tuple[Any, dict[str, Any]]:
    """Return the data set of a search, and the settings of all runs.

    Args:
        file: the log.
        given: `KEY=VALUE` texts.
        config: a file of settings.
        item_names: what the items are called.
        name_columns: columns of that file.
    """
    from mltfr.config import load_toml, merge, parse_overrides
    from mltfr.names.config import IDS
    from mltfr.study.config import DataConfig

    settings = merge(load_toml(config) if config is not None else {}, parse_overrides(given))
    reading = settings.pop("reading", {})
    names = settings.pop("names", {})
    if item_names is not None:
        names["file"] = str(item_names) if str(item_names) == IDS else str(item_names.resolve())
    if name_columns is not None:
        names["columns"] = name_columns
    own = {"names": names} if names else {}
    files = [str(path.resolve()) for path in file]
    return DataConfig.parse({**reading, "file": files, "settings": own}, "data"), settings


def listed(text: str | None) -> tuple[str, ...]:
    """Return what is separated by commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def show(outcome: Outcome, metric: str, out: Path) -> None:
    """Print the leaderboard and what there is to say; exit where the search was to end with a failure."""
    from mltfr.cli.output import print_table

    columns = ["", "validation", "test", "epochs", "s", "ms", "state"]
    shown = [
        [
            f"{rank}. {row.name}",
            f"{row.value:.4f}" if row.value is not None else "",
            f"{row.test:.4f}" if row.test is not None else "",
            str(row.epochs or ""),
            f"{row.seconds:.0f}",
            f"{row.milliseconds:.1f}" if row.milliseconds is not None else "",
            row.state,
        ]
        for rank, row in enumerate(outcome.rows, 1)
    ]
    print_table(f"{metric}, s: to fit and validate, ms: a request alone", columns, shown, caption="Test: scored once.")
    for line in outcome.lines:
        say(line)
    for name, error in outcome.failures.items():
        say(f"mltfr: {name} failed: {error}", err=True)
    if outcome.aborted:
        raise typer.Exit(1)
    run = out / (outcome.refitted or "best")
    say_written(run)
    if outcome.recommended is not None:
        say(f"Recommended instead: mltfr recommend {word(out / outcome.recommended)} --out recommendations.csv")
