"""What the page of a refitted run says of scores: it has none, and those of the run before stand under that name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mltfr.page.content import Column, Section, Table, Value


def refit_lines(told: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return that a refitted run has no scores, in one sentence, and where those of the run before are.

    Args:
        told: what the manifest says of the refit.
    """
    first = (
        f"This run has no scores: it was fitted on all {told['interactions']:,} interactions of its log, and nothing "
        "was held out to score it by."
    )
    chosen = f" That run was chosen by {told['judged_by']} on validation." if "judged_by" in told else ""
    before = told.get("scores_before", {})
    name = f" ({before['run']})" if before.get("run") else ""
    where = f"Those of the run before it was refitted{name} are in that run's metrics.json"
    return first, (f"{where}{', and below' if 'metrics' in before else ''}.{chosen}",)


def scores_before(told: Mapping[str, Any]) -> Section:
    """Return the scores of the run before it was refitted.

    Args:
        told: what the manifest says of the refit.
    """
    before, title = told.get("scores_before", {}), "Scores before the refit"
    if "metrics" not in before:
        return Section("scores", title, absent=("The scores of the run before were not kept with this one.",))
    split = before.get("split", "test")
    rows = [("the run before it was refitted", split, before["metrics"])]
    if "popularity" in before:
        rows.append(("popularity, fitted to what that run was", split, before["popularity"]))
    if "validation" in before:
        rows.append(("the run before it was refitted", "validation", before["validation"]))
    names = list(before["metrics"])
    cells: list[tuple[Value, ...]] = [(name, on, *(found.get(each) for each in names)) for name, on, found in rows]
    counts = f"{before['users']:,} users, {before['examples']:,} examples"
    measured = f"On {split}: {counts}, protocol {before['protocol_hash']}."
    columns = (Column("recommender"), Column("split"), *(Column(name, ".4f") for name in names))
    table = Table("scores-before", "Of the run before it was refitted", columns, tuple(cells), (measured,))
    return Section("scores", title, ("None of these is of this run, which learned from what they were measured on.",),
                   tables=(table,))  # fmt: skip
