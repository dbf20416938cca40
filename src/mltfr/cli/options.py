"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="Run folder written by `mltfr fit`.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Format = Annotated[
    str | None,
    typer.Option(
        help="Format of FILE; recognised by its content if not given."
    ),
]
UserColumn = Annotated[str | None, typer.Option(help="Column that holds the users.")]
ItemColumn = Annotated[str | None, typer.Option(help="Column that holds the items.")]
TimestampColumn = Annotated[str | None, typer.Option(help="Column that holds the times.")]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Drop invalid rows, and count them, instead of stopping.")
]
