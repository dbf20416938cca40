"""The search of a group's settings on validation, trial by trial, the same after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltfr.config import flatten
from mltfr.errors import ConfigError, RunError
from mltfr.pipeline import RunConfig
from mltfr.pipeline.artifact import remove_run
from mltfr.storage.files import read_json_lines, write_json_lines
from mltfr.storage.folder import damaged
from mltfr.storage.sealed import sealed, unsealed
from mltfr.study.cell import Cell, Group
from mltfr.study.results import read_run
from mltfr.study.sampler import STARTUP, Sampler
from mltfr.study.settings import with_settings
from mltfr.study.space import TuningConfig, Value
from mltfr.study.spec import JobSpec, read_spec, spec_file, write_spec

Settings = dict[str, Value]
STARTUP_ALONE = 10
"""Trials at random of a search that is all there is: with 5, a categorical setting is given up too early more often; of
30 seeds of a planted space 26 found its optimum within 30 trials, with 10 it was 28."""
TRIED_TWICE = "(tried twice; `mltfr fit` with its settings, which are in leaderboard.parquet, tries it once more)"
"""What the error of a trial says that has failed again when it was tried once more."""


class GroupTuning:
    """The search of one group; what is recorded in its file is replayed into the sampler.

    Args:
        folder: where the file lies.
        group: whose settings are searched.
        config: the group's settings as they are; they are trial 0.
        tuning: number of trials, seed and space.
        metric: the validation metric that decides.
        spec: returns the specification of a trial from its settings.
        alone: whether the search is all there is: the run of the best trial is kept, since no cell is trained with
            its settings, and a trial that crashes counts as failed. One that was killed, or failed for other reasons
            than its settings, is tried once more, behind the others, by whoever continues the search, and never a
            third time.

    Raises:
        MissingExtraError: Optuna is not installed.
        RunError: the file is damaged, or of another search.
    """

    def __init__(
        self,
        folder: Path,
        group: Group,
        config: RunConfig,
        tuning: TuningConfig,
        metric: str,
        spec: Callable[[RunConfig], JobSpec],
        alone: bool = False,
    ) -> None:
        self.alone = alone
        self.metric = metric
        self.group, self.config, self.spec = group, config.model_copy(update={"seed": tuning.seed}), spec
        self.file, self.folder = folder / f"{group.name}.jsonl", folder / group.name
        settings = flatten(config.model_dump(mode="json"))
        self.space = {key: choices for key, choices in tuning.space.items() if settings.get(key) is not None}
        self.untuned: Settings = {key: settings[key] for key in self.space}
        self.trials = tuning.trials if self.space else 0
        self.sampler = Sampler(self.space, tuning.seed, STARTUP_ALONE if alone else STARTUP)
        self.records: list[dict[str, Any]] = []
        self.again: list[dict[str, Any]] = []
        self.proposal: Settings | None = None
        for record in self._read()[: self.trials]:
            self._replay(record)
        self.again = [record for record in self.records if record.get("again")]
        self._clean_up()

    @property
    def left(self) -> int:
        """Trials that are still to come."""
        return self.trials - len(self.records) + len(self.again)

    @property
    def done(self) -> bool:
        """Whether all trials are recorded."""
        return self.left <= 0

    def next(self) -> JobSpec:
        """Return the specification of the next trial; the same one until `tell`.

        Raises:
            ConfigError: the sampler's settings do not fit together; `tell` it as a failure.
        """
        return self.spec(self._applied(self._propose() if self._retried is None else self._retried["settings"]))

    def prepare(self, spec: JobSpec) -> Path:
        """Return the run folder of the next trial and write its specification; an earlier trial's run is removed."""
        run = self.folder / str(len(self.records) if self._retried is None else self._retried["trial"])
        if run.exists() and not (spec_file(run).exists() and read_spec(run).fingerprint == spec.fingerprint):
            remove_run(run)
        write_spec(run, spec)
        return run

    def tell_result(self, run: Path) -> dict[str, Any]:
        """Record the trial from its finished run folder, and return the record."""
        found = read_run(run, ())
        return self.tell(found.metrics["metrics"][self.metric], found.epochs, found.manifest["wall_seconds"])

    def tell(
        self, value: float | None, epochs: int = 0, seconds: float = 0.0, error: str | None = None, again: bool = False
    ) -> dict[str, Any]:
        """Record the trial that `next` returned, tell the sampler, and return the record.

        Args:
            value: validation score; None where the settings did not allow a training.
            epochs: epochs run.
            seconds: what it took.
            error: why there is no value.
            again: whether it failed for other reasons than its settings.
        """
        result = {"value": value, "epochs": epochs, "seconds": seconds, "error": error}
        if (record := self._retried) is not None:
            del self.again[0], record["again"]
            if again:
                result["error"] = f"{error} {TRIED_TWICE}"
            record |= {**result, "retried": True}  # the sampler has been told that it failed
        else:
            if again:
                result["again"] = True
            settings = self._propose()
            fingerprint = self._fingerprint(settings)
            record = {"trial": len(self.records), "settings": settings, **result, "fingerprint": fingerprint}
            self._learn(record)
        write_json_lines(self.file, map(sealed, self.records))
        self._clean_up()
        return record

    def best(self) -> dict[str, Any] | None:
        """Return the record of the best trial, the earliest of equals; None where none succeeded."""
        scored = [record for record in self.records if record["value"] is not None]
        return max(scored, key=lambda record: (record["value"], -record["trial"]), default=None)

    def tuned(self, cell: Cell) -> Cell:
        """Return a cell of the group with the best settings."""
        best = self.best()
        return cell if best is None else cell.with_config(self._applied(best["settings"]))

    def run(self, record: Mapping[str, Any]) -> Path:
        """Return the run folder of a trial."""
        return self.folder / str(record["trial"])

    def _clean_up(self) -> None:
        """Remove the runs of all trials that are recorded, but for one that is kept and those that are tried again."""
        kept = self.best() if self.alone else None
        for record in self.records:
            run, again = self.run(record), record.get("again") and not self.done
            if record is not kept and not again and spec_file(run).exists():
                remove_run(run)
                with suppress(OSError):
                    spec_file(run).unlink(missing_ok=True)
        if self.done:
            with suppress(OSError):
                self.folder.rmdir()

    def _propose(self) -> Settings:
        if self.proposal is None:
            self.proposal = self.sampler.ask() if self.records else self.untuned
        return self.proposal

    @property
    def _retried(self) -> dict[str, Any] | None:
        """The record of the trial that is tried once more now; None while others are to come."""
        return self.again[0] if self.again and len(self.records) >= self.trials else None

    def _learn(self, record: dict[str, Any]) -> None:
        value = None if record.get("retried") else record["value"]
        if self.records:
            self.sampler.tell(value)
        elif value is not None:
            self.sampler.add(self.untuned, value)
        self.records.append(record)
        self.proposal = None

    def _replay(self, record: dict[str, Any]) -> None:
        settings = self._propose()
        if record["settings"] != settings or record["fingerprint"] != self._fingerprint(settings):
            raise RunError(
                f"{self.file}: trial {record['trial']} belongs to other settings, data or versions. Continue with "
                "those it was made from, choose another --out, or remove that file."
            )
        self._learn(record)

    def _fingerprint(self, settings: Settings) -> str:
        try:
            return self.spec(self._applied(settings)).fingerprint[:16]
        except ConfigError:  # recorded as a trial without a value
            return ""

    def _applied(self, settings: Mapping[str, Value]) -> RunConfig:
        """Return the group's settings with some of them replaced."""
        return with_settings(self.config, settings, f"tuning of {self.group}")

    def _read(self) -> list[dict[str, Any]]:
        if not self.file.exists():
            return []
        with damaged(self.file, RunError, "Remove it, and continue with --resume."):
            records = [unsealed(record) for record in read_json_lines(self.file)]
            if [record["trial"] for record in records] != list(range(len(records))):
                raise ValueError("the trials do not follow each other")
            return [{**record, "settings": dict(record["settings"])} for record in records]
