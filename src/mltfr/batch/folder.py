"""The folder of a batch job: written part by part, continued after a kill, its manifest written last.

    part-00000.parquet ...   rows user_id, rank, item_id, score; users in input order
    manifest.json            run, settings and input by checksum, and every part; the job is finished
    .job/                    the same before it is: job.json, and a record of every part that was begun
All JSON is sealed: a changed value is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mltfr.batch.scoring import Scored
from mltfr.batch.users import Users, run_fingerprint
from mltfr.errors import OutputError
from mltfr.inference import RecommendationSpec
from mltfr.storage.files import atomic_file, check_new, read_json, write_json
from mltfr.storage.folder import MANIFEST, damaged, describe_file, is_intact
from mltfr.storage.lock import locked
from mltfr.storage.sealed import sealed, unsealed
from mltfr.version import __version__

FORMAT = 1
KIND = "recommendations"
JOB = Path(".job/job.json")
Record = dict[str, Any]
"""What the manifest says of a part."""
PART_USERS = 1 << 15
"""Users of a part by default; see docs/decisions/batch-jobs.md for what was measured."""


@dataclass(frozen=True)
class Part:
    """Consecutive users of a job: `number` from 0, rows `start` to `stop - 1`."""

    number: int
    start: int
    stop: int

    @property
    def file(self) -> str:
        """Name of the part's file in a folder of parts."""
        return f"part-{self.number:05d}.parquet"

    def __len__(self) -> int:
        return self.stop - self.start


def plan_parts(users: int, size: int = PART_USERS) -> list[Part]:
    """Return the parts of a job: `size` users each, the last one fewer; without users, one part of none.

    Raises:
        ValueError: `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"A part needs at least one user, got {size}.")
    starts = range(0, max(users, 1), size)
    return [Part(number, start, min(start + size, users)) for number, start in enumerate(starts)]


def describe_job(run: Path, spec: RecommendationSpec, users: Users, part_users: int) -> dict[str, Any]:
    """Return everything that a job's parts depend on; a job is continued only by an equal one.

    Args:
        run: the run folder.
        spec: what every user gets.
        users: who gets it.
        part_users: users of a part.
    """
    return {
        "format": FORMAT,
        "kind": KIND,
        "versions": {"mltfr": __version__, "torch": torch.__version__},
        "run": run_fingerprint(run),
        **spec.to_dict(),
        "users": len(users),
        "histories": users.fingerprint(),
        "part_users": part_users,
    }


def locked_parts(folder: Path) -> AbstractContextManager[None]:
    """Return the context in which a folder of parts is written; see `locked`."""
    return locked(folder, within=[JOB.parent.name])


@dataclass(frozen=True)
class PartsFolder:
    """The folder that a job writes, within `locked_parts`; small, so that it can be sent to other processes.

    Attributes:
        folder: where the parts go.
        job: what `describe_job` returned.
    """

    folder: Path
    job: Mapping[str, Any]

    @property
    def parts(self) -> list[Part]:
        """All parts of the job."""
        return plan_parts(self.job["users"], self.job["part_users"])

    def begin(self, resume: bool) -> dict[int, Record]:
        """Make the folder, or find in it what is finished; return the records of finished parts, by number.

        Args:
            resume: whether a job that is there may be continued.

        Raises:
            OutputError: the folder cannot be made, holds something else, or another job; or one that may be
                continued, and `resume` is off.
        """
        there = self._job_there()
        if there is not None and not resume:
            state = "unfinished recommendations. Continue"
            if (self.folder / MANIFEST).exists():
                state = "finished recommendations (part-*.parquet). Check"
            raise OutputError(f"{self.folder}: holds {state} them with --resume, or choose another --out.")
        if there is not None:
            self._require_same(there)
            if (self.folder / MANIFEST).exists():  # its process was killed before it cleaned up
                self._clear_job()
            return {part.number: record for part in self.parts if (record := self._finished(part, there)) is not None}
        write_json(self.folder / JOB, sealed(self.job))
        return {}

    def write(self, part: Part, scored: Scored) -> Record:
        """Write a part whole or not at all, and return its record.

        The record is on the disk before the part is: a part without one is not finished, whatever it holds.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        path = self.folder / part.file
        with atomic_file(path) as temporary:
            scored.table.write_parquet(temporary)
            record = {
                "file": part.file,
                "users": len(part),
                "rows": len(scored.table),
                **scored.shortfalls.counts(),
                **describe_file(temporary),
            }
            write_json(self._record(part), sealed(record))
        return record

    def finish(self, records: Mapping[int, Record]) -> None:
        """Write the manifest: all parts are there.

        Raises:
            ValueError: a part has no record.
        """
        parts = self.parts
        missing = [part.number for part in parts if part.number not in records]
        if missing:
            raise ValueError(f"Part {missing[0]} has no record ({len(missing)} of {len(parts)} have none).")
        listed: Sequence[Record] = [records[part.number] for part in parts]
        document = {**self.job, "rows": sum(r["rows"] for r in listed), "parts": listed}
        write_json(self.folder / MANIFEST, sealed(document))
        self._clear_job()

    def _clear_job(self) -> None:
        """Remove what only an unfinished job needs; whatever cannot be removed stays."""
        for path in (self.folder / JOB, *(self._record(part) for part in self.parts)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            (self.folder / JOB).parent.rmdir()

    def _record(self, part: Part) -> Path:
        return self.folder / JOB.with_name(f"{part.file}.json")

    def _job_there(self) -> dict[str, Any] | None:
        """Return the manifest or the unfinished job that the folder holds, None of a new folder."""
        check_new(self.folder, "recommendations", known={MANIFEST: None, str(JOB): None})
        for path in (self.folder / MANIFEST, self.folder / JOB):
            if path.is_file():
                with damaged(path, OutputError, "Choose another --out."):
                    document = read_json(path)
                    if document["kind"] != KIND:
                        raise ValueError("it is not that of recommendations")
                    return unsealed(document)
        return None

    def _require_same(self, there: Mapping[str, Any]) -> None:
        different = [key for key, value in self.job.items() if there.get(key) != value]
        if different:
            raise OutputError(
                f"{self.folder}: was begun with another {', '.join(different)}. Repeat the command that began it "
                "with --resume, or choose another --out."
            )

    def _finished(self, part: Part, there: Mapping[str, Any]) -> Record | None:
        """Return the record of a part whose file is what the record says, None of any other."""
        if "parts" in there:
            record = there["parts"][part.number]
        else:
            try:
                record = unsealed(read_json(self._record(part)))
            except (OSError, ValueError):
                return None
        return record if is_intact(self.folder / part.file, record) else None
