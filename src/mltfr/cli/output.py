"""What the commands print: lines and tables, in which a terminal finds nothing to obey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import typer

from mltfr.errors import word
from mltfr.storage.terminal import printable

if TYPE_CHECKING:
    from rich.text import Text

USUALLY_SHOWN = ("hr@10", "ndcg@10", "mrr@10", "hr@20", "ndcg@20")


def say(text: object, err: bool = False) -> None:
    """Print a text to stdout, or stderr, line by line."""
    typer.echo("\n".join(map(printable, str(text).split("\n"))), err=err)


@contextmanager
def stoppable(told: str) -> Iterator[Event]:
    """Yield an event that Ctrl-C sets; a job that stops then ends the command with a line on stderr and exit code 130.

    Args:
        told: the line; nothing is printed where it is empty.
    """
    from mltfr.training import Interrupted, stop_request

    with stop_request() as stop:
        try:
            yield stop
        except Interrupted:
            if told:
                say(told, err=True)
            raise typer.Exit(130) from None


def say_written(run: Path) -> None:
    """Print where a run was written, and the command that most people want next."""
    say(f"Run written to {run}. Next: mltfr recommend {word(run)} --out recommendations.csv")


def to_resume(out: Path) -> str:
    """Return the line that says how a job that was stopped is continued."""
    return f"mltfr: stopped; continue with the same command and --resume ({out})."


def print_table(title: str, columns: list[str], rows: list[list[str]], caption: str | None = None) -> None:
    """Print a table to stdout; the first column is text, the others are numbers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=_cell(title, "table.title"), title_justify="left", caption_justify="left")
    table.caption = _cell(caption, "table.caption") if caption else None
    for number, column in enumerate(columns):
        table.add_column(_cell(column), justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    Console().print(table)


def print_list(header: Sequence[str], rows: Sequence[Sequence[str]], widest: Mapping[str, int] | None = None) -> None:
    """Print rows of text to stdout, without a frame; long cells are folded.

    Args:
        header: names of the columns.
        rows: their cells.
        widest: number of characters, by column, from which cells are folded however wide the terminal is.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in header:
        table.add_column(_cell(column), overflow="fold", max_width=(widest or {}).get(column))
    for row in rows:
        table.add_row(*map(_cell, row))
    Console(soft_wrap=False).print(table)


def print_facts(title: str, rows: Mapping[str, str | None]) -> None:
    """Print names and values to stdout; those that are None are left out."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=_cell(title, "table.title"), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, value in rows.items():
        if value is not None:
            table.add_row(_cell(name), _cell(value))
    Console().print(table)


def _cell(text: str, style: str = "") -> Text:
    """Return a text in which rich finds no markup either."""
    from rich.text import Text

    return Text(printable(text), style)


def shown_metrics(metrics: Mapping[str, float]) -> list[str]:
    """Return the at most five metrics of a table of scores: the usual ones, or all at 10 and then at other cutoffs."""
    if {name.partition("@")[0] for name in metrics} <= {"hr", "ndcg", "mrr"} and metrics.keys() >= set(USUALLY_SHOWN):
        return list(USUALLY_SHOWN)
    return sorted(metrics, key=lambda name: (name.partition("@")[2] != "10", name.startswith("precision")))[:5]


def score_row(name: str, metrics: Mapping[str, float]) -> list[str]:
    """Return one row of a table of scores."""
    return [name, *(f"{metrics[metric]:.4f}" for metric in shown_metrics(metrics))]


def print_scores(document: Mapping[str, Any]) -> None:
    """Print the scores in `metrics.json`, or of `mltfr evaluate`, with their protocol below.

    A row that would repeat the run's own is left out: the zero branch without a fusion, a baseline beside itself.
    """
    rows = [score_row(document["split"], document["metrics"])]
    verdict = document.get("verdict", {})
    if "zero_branch" in document and verdict.get("fusion") != "none":
        rows.append(score_row("test, zero branch", document["zero_branch"]))
    if (best := document.get("best_member")) is not None:
        rows.append(score_row(f"test, {best['run']} (best member)", best["metrics"]))
    baselines = {name: scores["test"] for name, scores in document.get("baselines", {}).items()}
    if "popularity" in document and "baselines" not in document:  # a run of an earlier version
        baselines = {"popularity": document["popularity"]}
    rows += [score_row(f"test, {name}", metrics) for name, metrics in baselines.items()]
    if "validation" in document:
        rows.append(score_row("validation", document["validation"]["metrics"]))
    columns = ["split", *shown_metrics(document["metrics"])]
    title = f"{document['users']:,} users"
    if document["examples"] > document["users"]:
        title += f", {document['examples']:,} examples"
    if "targets" in document:
        title += f", {document['targets']:,} targets"
    for key, where in (("seen_targets", "in the history"), ("unknown_targets", "not in training")):
        if document.get(key):  # runs of earlier versions have no seen ones
            title += f", {document[key]:,} targets {where}"
    print_table(title, columns, rows, caption=describe_protocol(document))


def describe_protocol(document: Mapping[str, Any]) -> str:
    """Return one line that says how the numbers were measured."""
    from mltfr.interactions.clock import with_dates

    protocol = document["protocol"]
    seen = "removed" if protocol["remove_seen"] else "kept"
    average = ", mean over users with all their targets" if protocol["average"] == "users" else ""
    drawn = f", {document['examples']:,} {protocol['average']} drawn" if protocol["max_examples"] else ""
    how = f"{with_dates(protocol['split'])}, full ranking, seen items {seen}{average}{drawn}"
    return f"{how}; protocol {document['protocol_hash']}"
