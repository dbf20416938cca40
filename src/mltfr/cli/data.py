"""`mltfr data`: public data sets by name, and what a log looks like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltfr.cli.options import Format, ItemColumn, Json, SkipInvalid, TimestampColumn, UserColumn

if TYPE_CHECKING:
    from mltfr.interactions.statistics import Statistics

app = typer.Typer(help="Fetch public data sets and describe interaction logs.", no_args_is_help=True)


@app.command()
def get(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the data set: ml-100k.")]) -> None:
    """Fetch a public data set and print its path."""
    from mltfr.interactions.catalogue import CATALOGUE, get_data

    path = get_data(name)
    typer.echo(f"{name}: {CATALOGUE[name].licence}", err=True)
    typer.echo(path)


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Interaction log, as for `mltfr fit`.")],
    json: Json = False,
    format: Format = None,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    timestamp_column: TimestampColumn = None,
    skip_invalid: SkipInvalid = False,
) -> None:
    """Print the statistics of an interaction log."""
    import dataclasses
    from json import dumps

    from mltfr.interactions import load_interactions
    from mltfr.interactions.statistics import describe as statistics_of

    log = load_interactions(
        file,
        format=format,
        user_column=user_column,
        item_column=item_column,
        timestamp_column=timestamp_column,
        skip_invalid=skip_invalid,
    )
    statistics = statistics_of(log)
    if json:
        typer.echo(dumps(dataclasses.asdict(statistics)))
    else:
        _print(statistics)


def _print(statistics: Statistics) -> None:
    from rich.console import Console
    from rich.table import Table

    s = statistics
    table = Table(title=f"{s.source} ({s.format})", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()

    def spread(quantiles: dict[str, float]) -> str:
        return "  ".join(f"{name} {value:g}" for name, value in quantiles.items())

    rows: dict[str, str | None] = {
        "users": f"{s.users:,}",
        "items": f"{s.items:,}",
        "interactions": f"{s.interactions:,}",
        "invalid rows dropped": f"{s.skipped:,}" if s.skipped else None,
        "given test part": f"{s.test_interactions:,} interactions" if s.test_interactions else None,
        "density": f"{s.density:.4%}",
        "history length": spread(dict(s.history_length)),
        "item popularity": spread(dict(s.item_popularity)),
        "popularity Gini": f"{s.item_gini:.3f}",
        "time span": f"{_moment(s.first_timestamp)} to {_moment(s.last_timestamp)}",
        "repeated choices": f"{s.repeats:.2%}",
        "users with a test item": f"{s.test_users:,}",
        "cold test items": None if s.cold_test_items is None else f"{s.cold_test_items:.2%}",
        "fingerprint": s.fingerprint[:16],
    }
    if s.first_timestamp is None:
        rows["time span"] = "no timestamps: rows are taken to stand in order"
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, value)
    Console().print(table)


def _moment(timestamp: float | None) -> str:
    """Return a time as a date where it can be one, in seconds or milliseconds."""
    from datetime import UTC, datetime

    if timestamp is None:
        return "-"
    seconds = timestamp / 1000 if abs(timestamp) > 1e11 else timestamp
    if not 1e8 < abs(seconds) < 1e11:  # a counter, not a clock
        return f"{timestamp:g}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
