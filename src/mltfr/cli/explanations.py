"""How explanations and their fidelity are printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltfr.cli.output import print_list, print_table, say

if TYPE_CHECKING:
    from mltfr.explain import Explanation, Fidelity
    from mltfr.explain.explanation import KeptToken

SHOWN = 10
"""Items of a history, and tokens, in a printed explanation; a JSON document has all."""
MEASURES = {
    "pos": "POS@{k}: still among the first {k} (lower is better)",
    "neg": "NEG@{k}: still there without the last ones (higher is better)",
    "del": "DEL: score without them (lower is better)",
    "ins": "INS: score with them alone (higher is better)",
    "ndcg": "NDCG: of the rank without them (lower is better)",
}


def print_explanations(found: Sequence[Explanation]) -> None:
    """Print explanations, one after the other."""
    if not found:
        say("No item may be recommended, so there is nothing to explain.")
    for number, each in enumerate(found):
        if number:
            say("")
        _print(each)


def _print(each: Explanation) -> None:
    """Print an explanation: the item, what carried it, how well that holds, and what is to be known of it."""
    rank = "no candidate" if each.rank is None else f"rank {each.rank:,}"
    name = f" ({each.name})" if each.name is not None else ""
    say(f"{each.item_id}{name} for {each.user_id}: {rank}, {each.unit} {each.score:.4g}")
    if each.contributions:
        named = any(one.name is not None for one in each.contributions)
        rows = [
            [one.item_id, *([one.name or ""] if named else []), ", ".join(map(str, one.places)), f"{one.value:+.4g}"]
            for one in each.contributions[:SHOWN]
        ]
        print_list(["history item", *(["name"] if named else []), "place", "contribution"], rows)
        if rest := each.contributions[SHOWN:]:
            say(f"{len(rest):,} other items: {sum(one.value for one in rest):+.4g}")
        say(
            f"By {each.method}: sum of parts {each.sum_of_parts:+.4g}, total effect {each.total_effect:+.4g} (score "
            f"minus {each.reference:.4g}, {each.reference_is}), interaction {each.interaction:+.4g}."
        )
        say(_of_the_set(each))
    for order, removed in each.fidelity.items():
        if removed:
            ranks = ", ".join(f"{one.rank:,}" for one in removed)
            say(f"Rank with 1 to {len(removed)} items removed, {order} first: {ranks}")
    for effect in each.effects:
        moved = f", rank {effect.rank:,}" if effect.rank is not None else ""
        say(f"Effect of {effect.part}: {effect.value:+.4g} ({effect.without}{moved})")
    for text in each.controls:
        say(text)
    if each.router:
        say(f"Looked at (router): {', '.join(f'{name} {share:.2f}' for name, share in each.router.items())}")
    if each.tokens:
        _print_tokens(each.tokens)
    for text in each.notes:
        say(text)


def _print_tokens(tokens: Sequence[KeptToken]) -> None:
    largest = sorted(tokens, key=lambda token: -abs(token.effect))[:SHOWN]
    rows = [
        [token.text if token.text is not None else f"row {token.token}", token.table, f"{token.looked_at:.2f}",
         f"{token.effect:+.4g}"]
        for token in largest
    ]  # fmt: skip
    print_list(["kept token", "table", "looked at", "effect"], rows)


def _of_the_set(each: Explanation) -> str:
    found = each.smallest_set
    if found is not None:
        return f"Without {' and '.join(found.items)} it drops out of the first {each.k}, to rank {found.rank:,}."
    if each.rank is None or each.rank > each.k:
        return f"It is not among the first {each.k}."
    return f"Without no three of the items that carry it most does it drop out of the first {each.k}."


def print_fidelity(found: Fidelity) -> None:
    """Print a table for every measure: the value of each order by the number of items, and whom the own one beats."""
    for metric, title in MEASURES.items():
        rows = []
        for order, means in found.means.items():
            against = found.against[order][metric] if order in found.against else ()
            cells = [
                f"{value:.3f}" + (_mark(against[place].better, against[place].worse) if against else "")
                for place, value in enumerate(means[metric])
            ]
            rows.append([order, *cells])
        columns = ["removed first", *(str(number + 1) for number in range(len(rows[0]) - 1))]
        print_table(title.format(k=found.k), columns, rows)
    say(
        f"{found.users:,} users, of each the best item; {found.skipped:,} users of the log have too few items. Scores: "
        f"{found.unit}. + the largest contributions do better than this order, - worse, = neither: by a 95 % bootstrap "
        "interval over users."
    )


def _mark(better: bool, worse: bool) -> str:
    return " +" if better else " -" if worse else " ="
