"""The page of a search: the page of its best run, with what was tried above it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mltfr.page.content import Column, Section, Table
from mltfr.page.run_page import run_page
from mltfr.page.write import write_page
from mltfr.search.finish import Found
from mltfr.search.folder import BEST, REPORT
from mltfr.search.rows import Row


def write_search_page(folder: Path, found: Found, about: str) -> Path:
    """Write `report.html` and return its path; no user is shown.

    Args:
        folder: the search folder, with its best run.
        found: what was found.
        about: what was searched, in a sentence.
    """
    page = run_page(folder / BEST, folder.resolve().name, 0)
    first, *more = found.lines
    section = Section("leaderboard", "Everything that was tried", (about,), tables=(_table(found.rows, found.metric),))
    page = replace(page, verdict=first, more=tuple(more), sections=(section, *page.sections))
    return write_page(page, folder / REPORT, overwrite=True)


def _table(rows: list[Row], metric: str) -> Table:
    columns = (
        Column("name"),
        Column("kind"),
        Column("state"),
        Column(f"validation {metric}", ".4f", frozenset([0])),
        Column(f"test {metric}", ".4f"),
        Column("epochs", ",d"),
        Column("seconds", ",.0f"),
        Column("milliseconds a request", ".2f"),
        Column("parameters", ",d"),
        Column("settings"),
    )
    table = tuple(
        (row.name, row.kind, row.state, row.value, row.test, row.epochs or None, row.seconds, row.milliseconds,
         row.parameters, row.error or row.settings.strip("{}").replace('"', ""))
        for row in rows
    )  # fmt: skip
    notes = (
        "Ordered by validation. Test was scored once, for the best one and popularity. Seconds: fit and validation, of "
        "all processes; paused: others were better after as many epochs.",
    )
    return Table("leaderboard", "Leaderboard", columns, table, notes)
