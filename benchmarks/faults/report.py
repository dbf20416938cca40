"""What was tried and found: a table on the screen, and a line for every kind in a JSON file."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faults.cases import Case, Outcome


@dataclass
class Row:
    """One line of the table.

    Attributes:
        section: part of the soak.
        kind: what was tried of it.
        tried: number of cases.
        outcomes: how often they ended how.
        wrong: what was wrong, each with the command that tries it again.
        seconds: how long the section took.
    """

    section: str
    kind: str
    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count a case."""
        self.tried += 1
        self.outcomes[outcome.what] += 1
        if outcome.wrong:
            self.wrong.append(f"{case.again}\n    {case.kind}: {outcome.wrong}")


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON can hold them, the outcomes by number."""
    return [{**asdict(row), "outcomes": dict(row.outcomes.most_common())} for row in rows]


def write(path: Path, about: dict[str, Any], rows: list[Row]) -> None:
    """Write the results of one run."""
    document = {"about": about, "rows": as_json(rows)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def show(rows: list[Row]) -> None:
    """Print the table to stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What was tried, and how it ended", title_justify="left")
    for column in ("section", "kind", "tried", "ended", "wrong"):
        table.add_column(column, justify="right" if column in ("tried", "wrong") else "left", overflow="fold")
    for row in rows:
        ended = ", ".join(f"{what} {number}" for what, number in row.outcomes.most_common())
        table.add_row(row.section, row.kind, str(row.tried), ended, str(len(row.wrong)),
                      style="red" if row.wrong else None)
    console = Console()
    (console if console.is_terminal else Console(width=150)).print(table)
