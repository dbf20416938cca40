"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from json import dumps
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder written by `mltfr fit`.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Format = Annotated[
    str | None,
    typer.Option(
        help="Format of FILE, recognised by its content if not given: csv, tsv, jsonl, parquet, recbole, sequence, "
        "sequence-colon, pairs or folder."
    ),
]
UserColumn = Annotated[str | None, typer.Option(help="Column of the user ids; the usual names are known.")]
ItemColumn = Annotated[
    str | None,
    typer.Option(help="Column of the item ids; the usual names are known. Several make one id, as in artist,track."),
]
TimestampColumn = Annotated[str | None, typer.Option(help="Column of the times; the usual names are known.")]
TimeFormat = Annotated[
    str | None,
    typer.Option(help="How the times are written, where that is not clear, as in %d/%m/%Y %H:%M.", show_default=False),
]
ColumnNames = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Names of all columns of a table without a header line, as in user_id,item_id,rating,timestamp.",
        show_default=False,
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Rows to take, over any columns, as in 'rating >= 4 and event in buy,cart'; may come several times.",
        show_default=False,
    ),
]
NameColumns = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN,...", help="Columns of --item-names that are read.", show_default="all that hold words"
    ),
]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Drop invalid rows, and count them, instead of stopping.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is there under that name, instead of stopping.")
]
AddNames = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Table of item ids and names (title), CSV, Parquet or JSON Lines, for a column of names beside the ids.",
        show_default=False,
    ),
]
NewItems = Annotated[
    bool,
    typer.Option("--new-items", help="Take items too that training has not seen, of a run fitted with --new-items."),
]
Engine = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(help="What runs it: local, or ray for a Ray cluster (needs the extra `ray`).", show_default="local"),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes of --engine ray; with GPUs one for each.", show_default="1")
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Ray cluster of --engine ray, ray://HOST:PORT too; a local one is started if not given.",
        show_default=False,
    ),
]


READING = {
    "format": Format, "user_column": UserColumn, "item_column": ItemColumn, "timestamp_column": TimestampColumn,
    "time_format": TimeFormat, "columns": ColumnNames, "skip_invalid": SkipInvalid,
}  # fmt: skip
"""The options of how a log is read, by the names of their settings."""
Reading = Mapping[str, str | bool | None]
"""Their values; None and False are not given."""


def reads_a_log(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of how a log is read, in place of its parameter `reading`, which gets their values."""
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=False if option is SkipInvalid else None, annotation=option)
        for name, option in READING.items()
    ]
    parameters: list[Parameter] = []
    for parameter in signature(command, eval_str=True).parameters.values():
        parameters += options if parameter.name == "reading" else [parameter]

    @wraps(command)
    def run(**given: Any) -> None:
        reading = {name: given.pop(name) for name in READING}
        command(**given, reading=reading)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def finite(value: float | None) -> float | None:
    """Return an option's number; `nan` and `inf` are within every range, and nothing can be done with them.

    Raises:
        BadParameter: it is one of these.
    """
    if value is not None and not isfinite(value):
        raise typer.BadParameter(f"{value} is no number to count with. Give a finite one, as in 2.5.")
    return value


def with_options(settings: list[str] | None, where: list[str] | None, reading: Reading) -> list[str]:
    """Return `--set`'s texts with what the options above set, which win: how the log is read, and rows are picked.

    Args:
        settings: what `--set` was given.
        where: conditions, all of which must be met.
        reading: as `reads_a_log` gives them.
    """
    conditions = [f"({condition})" for condition in where] if where and len(where) > 1 else where or []
    given = {f"reading.{name}": value for name, value in reading.items() if value}
    given |= {"filters.where": " and ".join(conditions)} if conditions else {}
    return [*(settings or []), *(f"{key}={dumps(value)}" for key, value in given.items())]
