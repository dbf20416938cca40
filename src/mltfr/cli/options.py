"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
ItemColumn = Annotated[str | None, typer.Option(help="Column of the item ids; the usual names are known.")]
TimestampColumn = Annotated[str | None, typer.Option(help="Column of the times; the usual names are known.")]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Drop invalid rows, and count them, instead of stopping.")
]
