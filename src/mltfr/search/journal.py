"""What a search has done, in a file of sealed lines: what `--resume` goes on with, and what the leaderboard tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mltfr.errors import RunError
from mltfr.storage.files import read_json_lines, write_json_lines
from mltfr.storage.folder import damaged
from mltfr.storage.sealed import sealed, unsealed

JOURNAL = "search.jsonl"


class Told(NamedTuple):
    """What the journal says of a run.

    Attributes:
        seconds: what its processes took in all.
        error: why it has failed; None where it has not.
    """

    seconds: float = 0.0
    error: str | None = None


class Journal:
    """The lines of a search.

    Args:
        folder: the search folder.

    Raises:
        RunError: the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / JOURNAL
        self.records: list[dict[str, Any]] = []
        if self.file.exists():
            with damaged(self.file, RunError, "Remove it, and continue with --resume."):
                self.records = [unsealed(record) for record in read_json_lines(self.file)]

    @property
    def spent(self) -> float:
        """Seconds that the search had taken at the last line."""
        return max((float(record["spent"]) for record in self.records), default=0.0)

    def find(self, kind: str) -> dict[str, Any] | None:
        """Return the last line of a kind; None where there is none."""
        return next((record for record in reversed(self.records) if record["kind"] == kind), None)

    def add(self, kind: str, spent: float, **facts: Any) -> None:
        """Add a line.

        Args:
            kind: what has happened.
            spent: seconds that the search has taken.
            facts: what there is to tell.
        """
        self.records.append({"kind": kind, "spent": round(spent, 3), **facts})
        write_json_lines(self.file, map(sealed, self.records))

    def of_run(self, name: str) -> Told:
        """Return what is told of a run, by the name of its cell."""
        of_it = [record for record in self.records if record["kind"] == "run" and record["run"] == name]
        error = of_it[-1]["error"] if of_it else None
        return Told(sum(record["seconds"] for record in of_it), error)
