"""What a training of a study is made from, in a file beside its run folder: `cells/NAME.json` for `cells/NAME/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from mltfr.config import Config
from mltfr.errors import RunError
from mltfr.pipeline import RunConfig
from mltfr.storage import files
from mltfr.storage.folder import damaged
from mltfr.storage.sealed import sealed, unsealed
from mltfr.study.config import DataConfig
from mltfr.study.fingerprint import fingerprint_of

REMEDY = "Remove it and the run that it belongs to, then use --resume."


class JobSpec(Config):
    """One training of a study, a cell or a trial: where its data comes from, and all that decides its result."""

    data: DataConfig
    """The data set."""
    inputs: dict[str, Any]
    """All that decides the result, complete settings included; see `fingerprint.inputs_of`."""
    metrics: tuple[str, ...] = ()
    """Metrics of the study; the first one decides."""
    runs: dict[str, str] = Field(default_factory=dict)
    """Cells of the study that it is made of, the members of a blend or a teacher: names of their run folders by label.
    Their fingerprints are among the inputs."""
    trial: bool = False
    """Whether it is a trial of a search, which is scored on validation alone."""
    pause_after: int | None = None
    """Epoch, counted over all rounds, after which the training stops with its checkpoint; it decides no result."""
    until: float | None = None
    """Moment, in seconds since 1970, at which the training ends with the best weights so far; only a run that it ends
    depends on it."""

    @property
    def fingerprint(self) -> str:
        """Hash of the inputs."""
        return fingerprint_of(self.inputs)

    @property
    def config(self) -> RunConfig:
        """The settings of the run; a teacher that is a cell is not in them."""
        return RunConfig.parse(self.inputs["config"], "job")


def spec_file(run: Path) -> Path:
    """Return the path of the file that says what a run folder of a study is made from."""
    return run.parent / f"{run.name}.json"


def write_spec(run: Path, spec: JobSpec) -> None:
    """Write the specification beside a run folder, which need not exist yet."""
    files.write_json(spec_file(run), sealed(spec.model_dump(mode="json")))


def read_spec(run: Path) -> JobSpec:
    """Read the specification of a run folder.

    Raises:
        RunError: it is missing or damaged.
    """
    with damaged(spec_file(run), RunError, REMEDY):
        document = unsealed(files.read_json(spec_file(run)))
    return JobSpec.parse(document, str(spec_file(run)))
