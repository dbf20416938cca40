"""Sections on scores: the verdict's differences, every recommender that was measured, and slices of the examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mltfr.page.content import Column, Figure, Section, Table, Value
from mltfr.page.svg import Interval, bars, intervals
from mltfr.pipeline.branches import CONSTANT, ZERO
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.score_difference import ScoreDifference
from mltfr.pipeline.verdict import RunVerdict

NOT_JUDGED = (
    "Nothing has judged this run: its scores stand below without a test. `mltfr fit` judges a run; one of a study is "
    "judged there, over its seeds, and two runs by --compare."
)
BRANCHES = {ZERO: "without the fusion (zero branch)", CONSTANT: "with a constant in its place"}
SLICES = {
    "target_popularity": ("popularity", "By popularity of what was to be found"),
    "history_length": ("length", "By length of the history"),
}
"""Slices of `metrics.json`: the name of their table, and its title."""
THIRDS = (
    "Items are sorted by their training interactions: head are the first that hold a third of all interactions between "
    "them, mid the next third, tail the rest."
)
THIN = 30
"""Examples below which a slice is said to rest on few."""


def verdict_lines(verdict: RunVerdict | None) -> tuple[str, tuple[str, ...]]:
    """Return what a run's verdict says first, in one sentence, and what else it says."""
    if verdict is None:
        return NOT_JUDGED, ()
    lines = verdict.standing.split("\n") if verdict.standing else []
    first = verdict.branches.in_words(verdict.fusion, verdict.metric) if verdict.branches is not None else ""
    if not first and lines:
        first = lines[0]
    score = f"Test {verdict.metric} {verdict.score:.4f}; nothing stands beside it to compare with."
    return first or score, tuple(line for line in lines if line != first)


def differences(verdict: RunVerdict | None) -> Section | None:
    """Return the differences that a verdict rests on; None where there are none."""
    rows = list(_compared(verdict)) if verdict is not None else []
    if verdict is None or not rows:
        return None
    table = Table(
        "verdict",
        f"What the run adds: {verdict.metric} a user, against each",
        (
            Column("against"), Column("measured on"), Column("its score", ".4f"), Column("difference", "+.4f"),
            Column("95 % from", "+.4f"), Column("to", "+.4f"), Column("p", ".2g"),
        ),
        tuple((name, split, one.score, one.difference, one.low, one.high, one.p) for name, split, one in rows),
        (
            "Above zero the run is better. Interval: 95 %, bootstrap over users; p of the paired t-test decides.",
            "Branches are scorings of this fitted model on validation; baselines and members are compared on test.",
        ),
    )  # fmt: skip
    marks = [Interval(f"{name}, {split}", one.difference, one.low, one.high) for name, split, one in rows]
    return Section("verdict", "What it adds", figures=(Figure(intervals(table.title, marks), table),))


def scores(fitted: FittedModel, document: Mapping[str, Any]) -> Section:
    """Return the scores of everything that was measured beside a run."""
    rows = list(_measured(fitted, document))
    names = list(document["metrics"])
    metric = fitted.config.judged_by if fitted.config.judged_by in names else names[0]
    protocol = document["protocol"]
    notes = [
        f"Protocol {document['protocol_hash']}: {protocol['split']}; candidates are {protocol['candidates']}; seen "
        f"items {'removed' if protocol['remove_seen'] else 'kept'}; targets not in training count as "
        f"{protocol['unknown_targets']}.",
    ]  # fmt: skip
    table = Table(
        "scores",
        "Scores",
        (Column("recommender"), Column("split"), *(Column(name, ".4f") for name in names)),
        tuple((name, split, *(metrics.get(each) for each in names)) for name, split, metrics in rows),
        tuple(notes),
    )
    shown = [(name, metrics[metric]) for name, split, metrics in rows if split == "test" and metric in metrics]
    figure = Figure(
        bars(f"Test {metric} of each recommender", [(name, value, f"{value:.4f}") for name, value in shown]),
        Table(
            "test-scores",
            f"Test {metric}",
            (Column("recommender"), Column(metric, ".4f")),
            tuple(shown),
            (f"{document['users']:,} users, {document['examples']:,} examples. Higher is better.",),
        ),
    )
    absent = ["The bare backbone trained by itself is a run of its own: --compare RUN2 puts it beside this one."]
    if fitted.config.fusions == "none":
        absent = []
    if "baselines" not in document:
        absent.append("No baseline but popularity was fitted beside this run: mltfr baselines fits them.")
    return Section("scores", "Scores", figures=(figure,), tables=(table,), absent=tuple(absent))


def slices(document: Mapping[str, Any], metric: str) -> Section:
    """Return the scores of parts of the examples."""
    figures = []
    for key, (name, title) in SLICES.items():
        cuts = {cut: one for cut, one in document.get("slices", {}).get(key, {}).items() if one["examples"]}
        if not cuts:
            continue
        measured = [each for each in document["metrics"] if each in next(iter(cuts.values()))]
        by = metric if metric in measured else measured[0]
        rows: list[tuple[Value, ...]] = [
            (cut, int(one["examples"]), *(one[each] for each in measured)) for cut, one in cuts.items()
        ]
        thin = [cut for cut, one in cuts.items() if one["examples"] < THIN]
        notes = [THIRDS] if key == "target_popularity" else []
        notes += [f"Few examples, so that chance decides: {', '.join(thin)}."] if thin else []
        table = Table(
            f"slices-{name}",
            f"{title}: test {by}",
            (Column("slice"), Column("examples", ",d"), *(Column(each, ".4f") for each in measured)),
            tuple(rows),
            tuple(notes),
        )
        labelled = [
            (f"{cut} ({int(one['examples']):,} examples)", one[by], f"{one[by]:.4f}") for cut, one in cuts.items()
        ]
        figures.append(Figure(bars(table.title, labelled, strong=range(len(labelled))), table))
    absent = () if figures else ("This run's scores were not cut into slices.",)
    return Section("slices", "For whom", figures=tuple(figures), absent=absent)


def _compared(verdict: RunVerdict) -> Iterator[tuple[str, str, ScoreDifference]]:
    branches = verdict.branches
    if branches is not None:
        yield BRANCHES[ZERO], "validation", branches.zero
        if branches.constant is not None:
            yield BRANCHES[CONSTANT], "validation", branches.constant
    if verdict.member is not None:
        yield f"{verdict.member.name} (best member)", "test", verdict.member
    if verdict.baseline is not None:
        yield f"{verdict.baseline.name} (best quick baseline)", "test", verdict.baseline


def _measured(
    fitted: FittedModel, document: Mapping[str, Any]
) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Yield name, split and metrics of all that stands in `metrics.json`."""
    yield "this run", document["split"], document["metrics"]
    if "zero_branch" in document and fitted.config.fusions != "none":
        yield BRANCHES[ZERO], "test", document["zero_branch"]
    if "best_member" in document:
        yield f"{document['best_member']['run']} (best member)", "test", document["best_member"]["metrics"]
    baselines = document.get("baselines", {})
    for name, found in baselines.items():
        yield name, "test", found["test"]
    if "popularity" not in baselines and "popularity" in document:
        yield "popularity", "test", document["popularity"]
    validation = document.get("validation")
    if validation is not None:
        yield "this run", "validation", validation["metrics"]
        for name, words in BRANCHES.items():
            if name in validation:
                yield words, "validation", validation[name]
    for name, found in baselines.items():
        if "validation" in found:
            yield name, "validation", found["validation"]
