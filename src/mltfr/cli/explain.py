"""`mltfr explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltfr.cli.options import AddNames, Json, Run
from mltfr.cli.output import print_list, say

if TYPE_CHECKING:
    from mltfr.explain import Explanation
    from mltfr.explain.explanation import Removed

SHOWN = 10
"""Items of a history in a printed explanation; a JSON document has all."""


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
    k: Annotated[int, typer.Option("-k", min=1, help="Length of the list that an item may drop out of.")] = 5,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Let items of the history come again.")] = False,
    add_names: AddNames = None,
    json: Json = False,
) -> None:
    """Say why items were recommended to a user: what each item of the history does to their scores.

    Usually: `mltfr explain runs/mine --user USER`

    An item of the history is left out, the score without it is compared, and what may be recommended stays what it was.
    The scores of a baseline are taken apart instead, into parts that sum to them. How well an explanation holds is told
    beside it: where the item stands once the items that carried it most are removed, and once the most recent or the
    most popular ones are instead.
    """  # fmt: skip
    from mltfr.cli.files import read_ids
    from mltfr.errors import DataError

    if (user is None) == (history is None):
        raise DataError("Give --user USER, or --history FILE with the items of one: one of the two.")
    from mltfr import Recommender

    histories = {history.stem: read_ids(history)} if history is not None else None
    recommender = Recommender.load(run)
    found = recommender.explain(
        [user] if user is not None else None, histories, item or None, k,
        include_seen=True if include_seen else None, names=add_names,
    )  # fmt: skip
    if json:
        from json import dumps

        say(dumps([each.to_json() for each in found], indent=2))
        return
    if not found:
        say("No item may be recommended, so there is nothing to explain.")
    for number, each in enumerate(found):
        _print(each, first=number == 0)


def _print(each: Explanation, *, first: bool) -> None:
    """Print an explanation: the item, what carried it, how well that holds, and what is to be known of it."""
    rank = "no candidate" if each.rank is None else f"rank {each.rank:,}"
    name = f" ({each.name})" if each.name is not None else ""
    say(f"{'' if first else chr(10)}{each.item_id}{name} for {each.user_id}: {rank}, {each.unit} {each.score:.4g}")
    shown = each.contributions[:SHOWN]
    if shown:
        named = any(contribution.name is not None for contribution in each.contributions)
        header = ["history item", *(["name"] if named else []), "place", "contribution"]
        rows = [
            [one.item_id, *([one.name or ""] if named else []), ", ".join(map(str, one.places)), f"{one.value:+.4g}"]
            for one in shown
        ]
        print_list(header, rows)
    rest = each.contributions[SHOWN:]
    if rest:
        say(f"{len(rest):,} other items: {sum(one.value for one in rest):+.4g}")
    if each.contributions:
        say(
            f"By {each.method}: sum of parts {each.sum_of_parts:+.4g}, total effect {each.total_effect:+.4g} (score "
            f"minus {each.reference:.4g}, {each.reference_is}), interaction {each.interaction:+.4g}."
        )
        say(_of_the_set(each))
    for order, removed in each.fidelity.items():
        if removed:
            say(f"Rank with 1 to {len(removed)} items removed, {order} first: {_ranks(removed)}")
    for effect in each.effects:
        moved = f", rank {effect.rank:,}" if effect.rank is not None else ""
        say(f"Effect of {effect.part}: {effect.value:+.4g} ({effect.without}{moved})")
    for text in (*each.controls, *each.notes):
        say(text)


def _of_the_set(each: Explanation) -> str:
    found = each.smallest_set
    if found is not None:
        return f"Without {' and '.join(found.items)} it drops out of the first {each.k}, to rank {found.rank:,}."
    if each.rank is None or each.rank > each.k:
        return f"It is not among the first {each.k}."
    return f"Without no three of the items that carry it most does it drop out of the first {each.k}."


def _ranks(removed: tuple[Removed, ...]) -> str:
    return ", ".join(f"{each.rank:,}" for each in removed)
