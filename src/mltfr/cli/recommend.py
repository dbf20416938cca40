"""`mltfr recommend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.options import Run


def recommend(
    run: Run,
    out: Annotated[Path, typer.Option(help="File to write: .csv, .parquet or .jsonl.", show_default=False)],
    k: Annotated[int, typer.Option("-k", min=1, help="How many items every user gets, at most.")] = 10,
    users: Annotated[
        Path | None, typer.Option(help="Text file with one user id of the log a line; all users if not given.")
    ] = None,
    histories: Annotated[
        Path | None,
        typer.Option(help='JSON Lines {"user_id": "u1", "items": ["a", "b"]}, oldest first; users need not be known.'),
    ] = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Let items of the history come again.")] = False,
    allow: Annotated[
        Path | None, typer.Option(help="Text file with the only item ids that may be recommended, one a line.")
    ] = None,
    deny: Annotated[
        Path | None, typer.Option(help="Text file with item ids that may not be recommended, one a line.")
    ] = None,
    index: Annotated[
        str, typer.Option(help="How to look: exact, dense (exact, without 8-bit item vectors), or ivf (approximate).")
    ] = "exact",
) -> None:
    """Write every user's best next items, as rows user_id, rank, item_id, score.

    Users of the log are served from their whole history, validation and test included. Items that training has
    not seen are skipped in histories and lists, with a warning.
    """
    from mltfr.cli.files import check_output, read_histories, read_ids, write_frame
    from mltfr.errors import DataError

    check_output(out)
    if users is not None and histories is not None:
        raise DataError("Give --users or --histories, not both.")
    raw = read_histories(histories) if histories is not None else None
    from mltfr.cli.progress import progress_bar
    from mltfr.recommender import Recommender

    recommender = Recommender.load(run)
    wanted = None
    if users is not None:
        wanted = read_ids(users, known_users=set(recommender.fitted.split.user_ids))
    allowed = read_ids(allow) if allow is not None else None
    denied = read_ids(deny) if deny is not None else []
    with progress_bar("recommending") as progress:
        frame = recommender.recommend(
            wanted,
            raw,
            k,
            include_seen=True if include_seen else None,
            allow=allowed,
            deny=denied,
            index=index,
            progress=progress,
        )
    write_frame(frame, out)
    if index == "ivf":
        report = recommender.index_report(k)
        found = f"recall@{report.k} {report.recall:.4f} against the exact lists of {report.histories:,} users"
        typer.echo(f"index ivf: {found}")
    typer.echo(f"{frame['user_id'].n_unique():,} users, {len(frame):,} rows written to {out}")
