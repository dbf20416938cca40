"""`mltfr explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.explanations import print_explanations, print_fidelity
from mltfr.cli.options import AddNames, Json, Overwrite, Run
from mltfr.cli.output import say


def explain(
    run: Run,
    user: Annotated[str | None, typer.Option(help="Id of a user of the log.", show_default=False)] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Text file with one item id a line, oldest first, instead of --user.",
            show_default=False,
        ),
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option(help="Item to explain; may come several times.", show_default="the -k best of the user"),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, help="Length of the list that an item may drop out of.", show_default="5, or 10"),
    ] = None,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Let items of the history come again.")] = False,
    add_names: AddNames = None,
    fidelity: Annotated[
        bool,
        typer.Option("--fidelity", help="Measure how faithful the explanations of many users are, instead of one."),
    ] = False,
    users: Annotated[
        int | None,
        typer.Option(min=2, help="Users of --fidelity, at most, evenly spaced over the log.", show_default="200"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New JSON file to write, besides what is printed.", show_default=False),
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Say why items were recommended to a user: what each item of the history does to their scores.

    Usually: `mltfr explain runs/mine --user USER`

    An item of the history is left out, the score without it is compared, and what may be recommended stays what it was.
    The scores of a baseline are taken apart instead, into parts that sum to them. How well an explanation holds is told
    beside it: where the item stands once the items that carried it most are removed, and once the most recent or the
    most popular ones are instead. --fidelity measures that over many users, with intervals.
    """  # fmt: skip
    from json import dumps

    from mltfr.cli.files import read_ids
    from mltfr.errors import DataError
    from mltfr.storage.files import check_absent, write_text

    asked = [user is not None, history is not None, fidelity]
    if sum(asked) != 1:
        raise DataError("Give --user USER, --history FILE with the items of one, or --fidelity: one of the three.")
    if fidelity and (item or include_seen or add_names):
        raise DataError("--item, --include-seen and --add-names are for one user. Leave them out with --fidelity.")
    if users is not None and not fidelity:
        raise DataError("--users is for --fidelity. Leave it out; one user is --user USER.")
    if out is not None and not overwrite:
        check_absent(out)
    from mltfr import Recommender
    from mltfr.storage.progress import show_progress

    recommender = Recommender.load(run)
    document: object
    if fidelity:
        with show_progress() as progress:
            measured = recommender.fidelity(k or 10, users or 200, progress=progress)
        document = measured.to_json()
    else:
        histories = {history.stem: read_ids(history)} if history is not None else None
        found = recommender.explain(
            [user] if user is not None else None, histories, item or None, k or 5,
            include_seen=True if include_seen else None, names=add_names,
        )  # fmt: skip
        document = [each.to_json() for each in found]
    if out is not None:
        write_text(out, dumps(document, indent=2) + "\n")
    if json:
        say(dumps(document, indent=2))
    elif fidelity:
        print_fidelity(measured)
    else:
        print_explanations(found)
