"""Run a batch job: part by part into a folder, or into one file; never all recommendations in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import BinaryIO

import polars as pl

from mltfr.batch.folder import PART_USERS, Part, PartsFolder, Record, plan_parts
from mltfr.batch.scoring import PartScorer, Scored
from mltfr.batch.users import Users
from mltfr.inference import Shortfalls
from mltfr.storage.files import atomic_file, partial_folder
from mltfr.storage.progress import SILENT, Progress
from mltfr.training import Interrupted


@dataclass
class Summary:
    """What a job has written, and what it skipped.

    Attributes:
        users: users with at least one item.
        rows: rows written.
        kept: parts that were finished before; they count in everything else.
        shortfalls: what was skipped, or answered otherwise than asked.
    """

    users: int = 0
    rows: int = 0
    kept: int = 0
    shortfalls: Shortfalls = field(default_factory=Shortfalls)

    @classmethod
    def of_kept(cls, finished: Mapping[int, Record]) -> Summary:
        """Return the summary of a continued job, which has the parts that `PartsFolder.begin` found finished."""
        summary = cls(kept=len(finished))
        for record in finished.values():
            summary.add(record["users"], record["rows"], Shortfalls.of_counts(record))
        return summary

    def add(self, users: int, rows: int, shortfalls: Shortfalls) -> None:
        """Count a part: its users, the rows written for them, and what falls short."""
        self.users += users - shortfalls.without_candidates.count
        self.rows += rows
        self.shortfalls.add(shortfalls)


def recommend_to_folder(
    scorer: PartScorer,
    users: Users,
    folder: PartsFolder,
    finished: dict[int, Record],
    *,
    progress: Progress = SILENT,
    stop: Event | None = None,
) -> Summary:
    """Score the parts that are not finished, write each, and the manifest at the end.

    Args:
        scorer: of a part.
        users: who gets recommendations.
        folder: where they go; `begin` has been called.
        finished: what `begin` returned.
        progress: receives how many users are done.
        stop: when set, the part in progress is given up and `Interrupted` raised; finished ones stay.

    Raises:
        DataError: the users cannot be read.
        OutputError: the disk is full, or the folder cannot be written.
        Interrupted: `stop` was set.
    """
    records = dict(finished)
    summary = Summary.of_kept(records)
    left = [part for part in folder.parts if part.number not in records]
    progress.start("recommending", len(users), done=len(users) - sum(map(len, left)))
    for part, scored in _scored(scorer, users, left, progress, stop):
        records[part.number] = folder.write(part, scored)
        summary.add(len(part), len(scored.table), scored.shortfalls)
    folder.finish(records)
    return summary


def recommend_to_file(
    scorer: PartScorer,
    users: Users,
    path: Path,
    *,
    part_users: int = PART_USERS,
    overwrite: bool = True,
    progress: Progress = SILENT,
    stop: Event | None = None,
) -> Summary:
    """Write the recommendations of all users into one file, whole or not at all.

    Args:
        scorer: of a part.
        users: who gets recommendations.
        path: a file that ends in `.csv`, `.parquet` or `.jsonl`.
        part_users: users scored together, and held in memory.
        overwrite: whether a file that is there is replaced.
        progress: receives how many users are done.
        stop: when set, `Interrupted` is raised and nothing is written.

    Raises:
        DataError: the users cannot be read.
        OutputError: the disk is full, the file cannot be written, or is there and not to be replaced.
        Interrupted: `stop` was set.
    """
    summary = Summary()
    parts = plan_parts(len(users), part_users)
    ending = path.suffix.lower()
    with atomic_file(path, overwrite) as temporary, ExitStack() as stack:
        text = stack.enter_context(temporary.open("wb")) if ending != ".parquet" else None
        pieces: list[Path] = []
        folder = None
        progress.start("recommending", len(users))
        for part, scored in _scored(scorer, users, parts, progress, stop):
            summary.add(len(part), len(scored.table), scored.shortfalls)
            if text is not None and ending == ".csv":
                scored.table.write_csv(text, include_header=part.number == 0)
            elif text is not None:
                scored.table.write_ndjson(text)
            elif len(parts) == 1:
                scored.table.write_parquet(temporary)
            else:
                folder = folder or stack.enter_context(partial_folder(path))
                pieces.append(folder / part.file)
                scored.table.write_parquet(pieces[-1])
        if pieces:
            pl.scan_parquet(pieces).sink_parquet(temporary)
    return summary


def recommend_to_stream(
    scorer: PartScorer,
    users: Users,
    file: BinaryIO,
    *,
    part_users: int = PART_USERS,
    progress: Progress = SILENT,
    stop: Event | None = None,
) -> Summary:
    """Write the recommendations of all users as CSV into a file that is open; the rest is as in `recommend_to_file`."""
    summary, parts = Summary(), plan_parts(len(users), part_users)
    progress.start("recommending", len(users))
    for part, scored in _scored(scorer, users, parts, progress, stop):
        summary.add(len(part), len(scored.table), scored.shortfalls)
        scored.table.write_csv(file, include_header=part.number == 0)
    return summary


def _scored(
    scorer: PartScorer, users: Users, parts: list[Part], progress: Progress, stop: Event | None
) -> Iterator[tuple[Part, Scored]]:
    """Yield parts with their recommendations."""
    stoppable = _Stoppable(progress, stop)
    for part in parts:
        stoppable.advance(0)
        yield part, scorer.score(users.read(part.start, part.stop), stoppable)


class _Stoppable(Progress):
    """Passes progress on, and raises `Interrupted` instead once `stop` is set."""

    def __init__(self, progress: Progress, stop: Event | None) -> None:
        self.progress = progress
        self.stop = stop

    def advance(self, steps: int = 1) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Interrupted
        self.progress.advance(steps)
