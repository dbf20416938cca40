"""Sections on the data and the training: counts, curves, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mltfr.interactions.read_as import ReadAs
from mltfr.page.content import Column, Figure, Section, Table, Value
from mltfr.page.svg import Line, lines
from mltfr.pipeline.data_counts import DataCounts
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import REFIT
from mltfr.storage.duration import duration

Records = Sequence[Mapping[str, Any]]
"""What `log.jsonl` holds: a record an epoch."""


def data(fitted: FittedModel, document: Mapping[str, Any], quotes: bool) -> Section:
    """Return what a run was trained on.

    Args:
        fitted: the run.
        document: its `metrics.json`.
        quotes: whether to show what may quote ids: conditions on rows, and notes of the reading.
    """
    facts = [("log", fitted.facts.get("source", "in memory"))]
    read_as = ReadAs.of_json(fitted.facts.get("read_as"))
    facts += read_as.words().items() if read_as is not None else []
    where = fitted.config.filters.where
    if where:
        facts.append(("rows taken", where if quotes else "those that meet a condition, which is not shown here"))
    refitted = fitted.facts.get(REFIT)
    facts.append(("split", document["protocol"]["split"] if refitted is None else "none: nothing was held out"))
    if quotes:
        facts += [("reading", note) for note in fitted.facts.get("notes", ())]
    facts += _names(document.get("names"))
    if refitted is not None:
        items = len(fitted.split.vocabulary)
        row = ("training", refitted["interactions"], len(fitted.split.user_ids) or None, items)
        return Section("data", "Trained on", facts=tuple(facts), tables=(_rows([row]),))
    if "counts" not in document:
        absent = ("A run of an earlier version: how many rows every step left was not kept.",)
        return Section("data", "Trained on", facts=tuple(facts), absent=absent)
    counts = DataCounts.from_json(document["counts"])
    rows: list[tuple[Value, ...]] = [
        ("read" if step.name == "before" else f"after {step.name}", step.interactions, step.users, step.items)
        for step in counts.filters
    ]
    rows.append(("training", counts.training.interactions, counts.training.users, counts.training.items))
    rows += [(name, part.targets, part.users, None) for name, part in
             (("validation", counts.validation), ("test", counts.test)) if part.targets]  # fmt: skip
    return Section("data", "Trained on", tuple(counts.remarks()), tuple(facts), tables=(_rows(rows),))


def _rows(rows: Sequence[tuple[Value, ...]]) -> Table:
    columns = (Column("part"), Column("rows", ",d"), Column("users", ",d"), Column("items", ",d"))
    return Table("data", "Rows, users and items", columns, tuple(rows))


def curves(history: Records, refitted: bool = False) -> Section:
    """Return how loss and validation went, epoch by epoch, round by round.

    Args:
        history: a record an epoch.
        refitted: whether the number of epochs is that of a run before.
    """
    title = "Training"
    if not history:
        return Section("training", title, absent=("Nothing was trained by epochs, so there are no curves.",))
    x, borders = epochs_of(history)
    figures = [_curve(history, x, borders, "loss", "Training loss", {"loss": [one.get("loss") for one in history]})]
    names = list(dict.fromkeys(name for one in history for name in one.get("validation", {})))
    if names:
        values = {name: [one.get("validation", {}).get(name) for one in history] for name in names}
        figures.insert(0, _curve(history, x, borders, "validation", "Validation", values))
    none = "There was no validation, so the epoch was not chosen by one."
    absent = () if names else (none if not refitted else "There are as many epochs as validation had chosen before.",)
    return Section("training", title, figures=tuple(figures), absent=absent)


def cost(fitted: FittedModel) -> Section:
    """Return what a run took: time, epochs, parameters, memory."""
    facts, found, history = [], fitted.facts, fitted.history
    if "wall_seconds" in found:
        facts.append(("time in all", f"{duration(found['wall_seconds'])} ({found['wall_seconds']:,.1f} s)"))
    if history:
        rounds = len({one["round"] for one in history})
        seconds = sum(one["seconds"] for one in history)
        of_rounds = f"{len(history)} in {rounds} round{'s' * (rounds > 1)}"
        chosen = f"epoch {found.get('best_epoch')} of the last one was best"
        if refitted := REFIT in found:
            chosen = "as many as validation had chosen before the refit"
        facts.append(("epochs", f"{of_rounds}; {chosen}"))
        facts.append(("an epoch", f"{seconds / len(history):.1f} s{'' if refitted else ' with its validation'}"))
    parameters = found.get("parameters")
    if isinstance(parameters, Mapping):
        facts.append(("parameters", f"{parameters['total']:,}, of these {parameters['fusion']:,} of the fusion"))
    estimate = found.get("estimate")
    if isinstance(estimate, Mapping) and estimate.get("peak_bytes"):
        facts.append(("memory", f"{estimate['peak_bytes'] / 2**20:,.0f} MiB at the peak, as estimated before the fit"))
    versions = ", ".join(f"{name} {version}" for name, version in found.get("packages", {}).items())
    facts.append(("machine", f"{found.get('machine', 'unknown')}, Python {found.get('python', 'unknown')}, {versions}"))
    return Section("cost", "Cost", facts=tuple(facts))


def epochs_of(history: Records) -> tuple[list[int], list[tuple[float, str]]]:
    """Return the running number of every epoch, and where rounds begin."""
    rounds = [one["round"] for one in history]
    borders = [(n + 1.0, f"round {number}") for n, number in enumerate(rounds) if n == 0 or rounds[n - 1] != number]
    return list(range(1, len(history) + 1)), borders if len(borders) > 1 else []


def series_figure(
    history: Records, name: str, title: str, values: Mapping[str, Sequence[float | None]], note: str = ""
) -> Figure:
    """Return lines over the epochs with their table."""
    x, borders = epochs_of(history)
    return _curve(history, x, borders, name, title, values, note)


def _curve(
    history: Records,
    x: Sequence[int],
    borders: Sequence[tuple[float, str]],
    name: str,
    title: str,
    values: Mapping[str, Sequence[float | None]],
    note: str = "",
) -> Figure:
    table = Table(
        name,
        f"{title} by epoch",
        (Column("round", "d"), Column("epoch", "d"), *(Column(each, ".4f") for each in values)),
        tuple(
            (one["round"], one["epoch"], *(column[row] for column in values.values()))
            for row, one in enumerate(history)
        ),
        (note,) if note else (),
    )
    drawn = [Line(each, _with_gaps(x, column, [b for b, _ in borders])) for each, column in values.items()]
    return Figure(lines(table.title, drawn, "epoch", borders), table)


def _with_gaps(
    x: Sequence[int], values: Sequence[float | None], starts: Sequence[float]
) -> tuple[tuple[float, float | None], ...]:
    """Return points with a gap before every round."""
    points: list[tuple[float, float | None]] = []
    for at, value in zip(x, values, strict=True):
        if at in starts[1:]:
            points.append((at, None))
        points.append((at, value))
    return tuple(points)


def _names(names: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return what the items' names are, and how far they reach."""
    if not names:
        return []
    told = f"{names['named']:,} of {names['items']:,} items, {names['words']:,} words, {names['different']:,} different"
    columns = ", ".join(names.get("columns", ()))
    return [("names of items", f"{names['source']}{f' ({columns})' if columns else ''}: {told}")]
