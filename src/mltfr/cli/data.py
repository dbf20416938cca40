"""`mltfr data`: public data sets by name, and what a log looks like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltfr.cli.options import Json, Reading, Where, reads_a_log, with_options
from mltfr.cli.output import say
from mltfr.errors import word

if TYPE_CHECKING:
    from mltfr.interactions.statistics import PreparedStatistics, Statistics

app = typer.Typer(
    help="Fetch public data sets, describe interaction logs, and prepare large ones.", no_args_is_help=True
)


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the data set, see `mltfr data list`.")],
) -> None:
    """Fetch a public data set and print its path; the names of its items, where they can be had, lie beside it.

    Usually: `mltfr data get ml-100k`

    A download that broke off goes on where it stopped. What cannot be fetched says where it can be had, and where to
    put it; the same command then takes it from there.
    """
    from mltfr.errors import FetchError
    from mltfr.interactions.catalogue import get_data, get_names, notes
    from mltfr.interactions.data_sets import data_set
    from mltfr.storage.progress import show_progress

    with show_progress() as progress:
        path = get_data(name, progress)
        try:
            names = get_names(name, progress)
        except FetchError as error:  # the log is there all the same
            names = None
            say(f"{name}: without the names of its items: {error}", err=True)
    say(f"{name}: {data_set(name).licence}", err=True)
    for note in notes(name):
        say(f"{name}: {note}", err=True)
    if names is not None:
        say(f"{name}: the names of its items are in {names} (mltfr fit ... --item-names {word(names)})", err=True)
    say(path)


@app.command("list")
def list_data(json: Json = False) -> None:
    """List the public data sets that `mltfr data get` knows: their size as it was published, and what is allowed.

    Usually: `mltfr data list`
    """
    from json import dumps

    from mltfr.cli.output import print_list
    from mltfr.interactions.catalogue import is_stored
    from mltfr.interactions.data_sets import data_sets, licences

    if json:
        say(dumps({name: {**entry.summary(), "stored": is_stored(name)} for name, entry in data_sets().items()}))
        return
    rows = []
    for name, entry in data_sets().items():
        counts = ["not published" if count is None else f"{count:,}" for count in entry.counts]
        state = "stored" if is_stored(name) else "to fetch" if entry.is_fetched else "by hand"
        rows.append((name, *counts, "yes" if entry.names else "no", state))
    print_list(("name", "rows", "users", "items", "names", "state"), rows)
    for licence, names in licences().items():
        say(f"{', '.join(names)}: {licence}")


@app.command()
@reads_a_log
def prepare(
    file: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Interaction log, as for `mltfr fit`.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; it must be new or empty.", show_default=False)],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting of filters or split, as in filters.core=5; may come several times.",
        ),
    ] = None,
    memory: Annotated[
        str, typer.Option(help="Memory to stay within, besides the ids and counts of users and items: 512M, 2G.")
    ] = "1G",
    *,
    reading: Reading,
    where: Where = None,
) -> None:
    """Read, check, filter and split a log of any size once, for `mltfr fit FOLDER`.

    Usually: `mltfr data prepare interactions.csv --out prepared`

    CSV, TSV, RecBole files and Parquet need not fit into memory, neither here nor in `fit`, which maps the prepared
    set from disk. Fitting it gives the run, to the bit, that fitting the file gives with the same settings. Needs the
    extra `large` (DuckDB).
    """
    from mltfr.config import parse_overrides
    from mltfr.interactions import prepare as prepare_set
    from mltfr.interactions.prepare import PreparationConfig, memory_bytes
    from mltfr.pipeline.description import count_prepared
    from mltfr.storage.progress import show_progress

    given = with_options(set_, where, reading)
    settings = PreparationConfig.parse(parse_overrides(given), "settings")
    prepared = prepare_set(
        file,
        out,
        filters=settings.filters,
        split=settings.split,
        **settings.reading.arguments,
        memory=memory_bytes(memory),
        progress=show_progress(),
    )
    say(count_prepared(prepared), err=True)
    users, items = len(prepared.split.user_ids), len(prepared.split.vocabulary)
    say(f"{users:,} users, {items:,} items, {len(prepared):,} interactions prepared in {out}. "
               f"Next: mltfr fit {word(out)} --out RUN")


@app.command()
@reads_a_log
def describe(
    file: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Interaction log, as for `mltfr fit`, or a prepared set.", show_default=False
        ),
    ],
    json: Json = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting of filters, split or evaluation, as in filters.core=5, to describe what a run would get; "
            "may come several times.",
        ),
    ] = None,
    *,
    reading: Reading,
    where: Where = None,
) -> None:
    """Print the statistics of an interaction log, or of a prepared set, and how large the parts of a run would be.

    Usually: `mltfr data describe interactions.csv`
    """
    from json import dumps

    from mltfr.cli.output import print_facts
    from mltfr.config import parse_overrides
    from mltfr.interactions import load_interactions
    from mltfr.interactions.statistics import PreparedStatistics
    from mltfr.pipeline.description import DescriptionConfig, describe_data

    given = with_options(set_, where, reading)
    settings = DescriptionConfig.parse(parse_overrides(given), "settings")
    log = load_interactions(file, **settings.reading.arguments, **settings.filters.arguments)
    description = describe_data(log, settings)
    statistics = description.statistics
    if json:
        say(dumps(description.to_json()))
        return
    if isinstance(statistics, PreparedStatistics):
        print_facts(f"{statistics.folder} (prepared from {statistics.source})", _rows_of_prepared(statistics))
    else:
        print_facts(f"{statistics.source} ({statistics.format})", _rows(statistics))
    say(description.counts or "No user has two interactions, so there is nothing to predict.")


def _spread(quantiles: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:g}" for name, value in quantiles.items())


def _rows_of_prepared(s: PreparedStatistics) -> dict[str, str | None]:
    from mltfr.interactions.clock import with_dates

    return {
        **(s.read_as.words() if s.read_as is not None else {}),
        "split": with_dates(s.split),
        "users": f"{s.users:,}",
        "items in training": f"{s.items:,}",
        "interactions": f"{s.interactions:,}",
        "of these in training": f"{s.training_interactions:,}",
        "invalid rows dropped": f"{s.skipped:,}" if s.skipped else None,
        "history length": _spread(s.history_length),
        "item popularity": _spread(s.item_popularity),
        "popularity Gini": f"{s.item_gini:.3f}",
        "on disk": f"{s.bytes / 1e6:,.1f} MB",
        "fingerprint": s.fingerprint[:16],
    }


def _rows(s: Statistics) -> dict[str, str | None]:
    return {
        **(s.read_as.words() if s.read_as is not None else {}),
        "users": f"{s.users:,}",
        "items": f"{s.items:,}",
        "interactions": f"{s.interactions:,}",
        "invalid rows dropped": f"{s.skipped:,}" if s.skipped else None,
        "given validation part": f"{s.validation_interactions:,} interactions" if s.validation_interactions else None,
        "given test part": f"{s.test_interactions:,} interactions" if s.test_interactions else None,
        "density": f"{s.density:.4%}",
        "history length": _spread(s.history_length),
        "item popularity": _spread(s.item_popularity),
        "popularity Gini": f"{s.item_gini:.3f}",
        "time span": _span(s),
        "repeated choices": f"{s.repeats:.2%}",
        "fingerprint": s.fingerprint[:16],
    }


def _span(s: Statistics) -> str | None:
    from mltfr.interactions.clock import shown

    if s.first_timestamp is None or s.last_timestamp is None:
        return None
    zone = "no known unit" if s.time_unit is None else "UTC"
    return f"{shown(s.first_timestamp, s.time_unit)} to {shown(s.last_timestamp, s.time_unit)} ({zone})"
