"""The study file: a grid over data sets, backbones, fusions, table sets and seeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mltfr.config import Config, load_toml, merge
from mltfr.errors import ConfigError, one_of
from mltfr.evaluation.metrics import Metric
from mltfr.interactions import FORMATS, ReadingConfig
from mltfr.interactions.data_sets import data_sets
from mltfr.interactions.synthetic import SyntheticConfig
from mltfr.names.config import IDS
from mltfr.study.rolling import RollingConfig
from mltfr.study.space import TuningConfig

SYNTHETIC = "synthetic"
"""Name of the built-in log."""
DEFAULT_TABLES = "default"
"""Label of the settings' own tables, where the study has no table sets."""
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

TestName = Literal["users-and-seeds", "t", "wilcoxon"]
Settings = dict[str, Any]


class DataConfig(ReadingConfig):
    """Source of a data set, and the run settings of its cells."""

    file: str | tuple[str, ...] | None = None
    """Interaction log, relative to the study file; a list of files is one log."""
    name: str | None = None
    """Name of a public data set (`mltfr data get`), or `synthetic` for the built-in log."""
    synthetic: SyntheticConfig | None = None
    """Size of the built-in log."""
    settings: Settings = Field(default_factory=dict)
    """Run settings of all cells of this data set."""
    rolling: RollingConfig | None = None
    """Windows of a backtest: the log is cut at several moments, and every cell runs in each of them."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.name is None):
            raise ValueError("a data set needs either file or name, and not both")
        if self.name is not None and self.name not in (SYNTHETIC, *data_sets()):
            raise ValueError(f"unknown data set '{self.name}'. {one_of(self.name, (SYNTHETIC, *data_sets()))}")
        if self.synthetic is not None and self.name != SYNTHETIC:
            raise ValueError(f"'synthetic' belongs to name = \"{SYNTHETIC}\"")
        if self.format is not None and self.format not in FORMATS:
            raise ValueError(f"unknown format '{self.format}'. {one_of(self.format, FORMATS)}")
        return self

    @property
    def windows(self) -> tuple[str, ...]:
        """Labels of the windows of a rolling split; one that is "" where there is none."""
        return ("",) if self.rolling is None else self.rolling.labels

    @property
    def files(self) -> list[str]:
        """Its files; none if it is a public or built-in data set."""
        return [] if self.file is None else [self.file] if isinstance(self.file, str) else list(self.file)

    @property
    def reading(self) -> Settings:
        """How its file is read, as the settings of its cells say it."""
        return {"reading": {name: value for name, value in self.arguments.items() if value}}


class TableSetConfig(Config):
    """A set of token tables, crossed with the fusions that read tables."""

    tables: tuple[str, ...] = Field(min_length=1)
    """Names of token tables, see `mltfr tokens list`."""
    tokens: Settings = Field(default_factory=dict)
    """Further settings of the tokens, such as `width`."""


class BlendArmConfig(Config):
    """A row of the study that is the blend of others, its weights chosen on validation."""

    members: tuple[str, ...] = Field(min_length=2)
    """Labels of fusions, baselines and other blends of the study; of the fusions and blends those cells that have its
    data set, backbone, token tables and seed."""


class StudyConfig(Config):
    """A grid of runs that are compared with each other."""

    title: str = ""
    """Title of the summary; the file's name if not given."""
    metrics: tuple[Metric, ...] = Field(("ndcg@10", "hr@10"), min_length=1)
    """Metrics of the tables; the first one decides: gains, tests and tuning are of it."""
    compare_with: str = "none"
    """Label of the fusion that the others are compared with."""
    contrasts: tuple[tuple[str, str], ...] = ()
    """Pairs of labels of fusions, blends or baselines; the gain of the first over the second is told in a table of its
    own: what of a gain is owed to what, where the two differ in one thing."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field((0, 1, 2), min_length=1)
    """Seeds; every backbone with every fusion runs once with each."""
    draws: int = Field(1, ge=1)
    """Draws of every control that reads random vectors or names (`random`, `shuffled`, `names.control` random or
    permuted), the first by `tokens.control_seed`, each of the others by the next number; the report ranks the real ones
    among them."""
    draw_seeds: Literal["first", "all"] = "first"
    """Seeds that the further draws run with: the first one, or all."""
    baselines: tuple[str, ...] = ()
    """Untrained baselines; each runs once a data set, with the first seed."""
    test: TestName = "users-and-seeds"
    """Significance test of the comparisons."""
    threads: int = Field(1, ge=1)
    """Threads of a cell; results do not depend on how many cells run at once."""
    keep_runs: bool = False
    """Whether run folders keep their weights and data, so that they can recommend; those that a blend or a distilled
    fit is made of keep them until it is finished."""
    data: dict[str, DataConfig] = Field(min_length=1)
    """Data sets by label."""
    settings: Settings = Field(default_factory=dict)
    """Run settings of every cell."""
    backbones: dict[str, Settings] = Field(min_length=1)
    """Backbones by label; the label is the registered name unless `backbone.name` is given."""
    fusions: dict[str, Settings] = Field(min_length=1)
    """Fusions by label; the label is the registered name unless `fusion.name` is given. `distillation.teacher` may be
    the label of another row of the study."""
    blends: dict[str, BlendArmConfig] = Field(default_factory=dict)
    """Blends by label, rows beside the fusions."""
    tables: dict[str, TableSetConfig] = Field(default_factory=dict)
    """Table sets by label; without any, the tables of the settings are one set, called `default`."""
    tuning: TuningConfig | None = None
    """Search of settings on validation, with the same number of trials for every backbone with every fusion."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind in ("data", "backbones", "fusions", "blends", "tables"):
            for label in getattr(self, kind):
                if not LABEL.fullmatch(label):
                    raise ValueError(f"[{kind}.{label!r}]: a label is made of letters, digits and . _ + -")
        for name in ("metrics", "seeds", "baselines"):
            values = getattr(self, name)
            twice = [value for value in dict.fromkeys(values) if values.count(value) > 1]
            if twice:
                raise ValueError(f"{name} names {twice[0]!r} twice. Name each once")
        if self.compare_with not in self.fusions:
            raise ValueError(
                f"compare_with is '{self.compare_with}', but there is no such fusion in the study. "
                f"{one_of(self.compare_with, self.fusions)} Add [fusions.{self.compare_with}], or set compare_with"
            )
        rows = (*self.fusions, *self.blends, *self.baselines)
        for pair in self.contrasts:
            for label in pair:
                if label not in rows:
                    raise ValueError(f"contrasts: no fusion, blend or baseline is '{label}'. {one_of(label, rows)}")
            if pair[0] == pair[1] or self.contrasts.count(pair) > 1:
                raise ValueError(f"contrasts: {list(pair)} is one row, or stands there twice. Remove it")
        return self

    @model_validator(mode="after")
    def _made_of_others(self) -> Self:
        """Check that blends and teachers are of rows of the study, and none of itself."""
        rows = (*self.fusions, *self.baselines, *self.blends)
        for label, blend in self.blends.items():
            if label in (*self.fusions, *self.baselines):
                raise ValueError(f"[blends.{label}]: a fusion or baseline has that label. Take another one")
            for member in blend.members:
                if member not in rows:
                    raise ValueError(
                        f"[blends.{label}]: the study has no fusion, baseline or blend '{member}'. "
                        f"{one_of(member, rows)}"
                    )
                if blend.members.count(member) > 1:
                    raise ValueError(f"[blends.{label}]: members names '{member}' twice. Name each once")
        made_of = {label: blend.members for label, blend in self.blends.items()}
        made_of |= {label: (teacher,) for label, teacher in self.teachers.items()}

        def follow(label: str, path: tuple[str, ...]) -> None:
            if label in path:
                circle = " of ".join(f"'{each}'" for each in (*path[path.index(label) :], label))
                raise ValueError(f"blends and teachers: {circle} would be made of itself. Leave one of them out")
            for part in made_of.get(label, ()):
                if part in self.fusions and part in self.baselines:
                    raise ValueError(
                        f"'{part}', of which '{label}' is made, is a fusion and a baseline. Rename [fusions.{part}]"
                    )
                follow(part, (*path, label))

        for label in made_of:
            follow(label, ())
        if self.teachers and self.tuning is not None:
            raise ValueError(
                f"[fusions.{next(iter(self.teachers))}] learns from another row of the study, for which a search "
                "cannot wait. Leave out [tuning], or give a run folder as the teacher"
            )
        return self

    @property
    def teachers(self) -> dict[str, str]:
        """The row that a fusion learns from, by the fusion's label, where that is one of the study."""
        given = {label: settings.get("distillation") for label, settings in self.fusions.items()}
        found = {label: part.get("teacher") for label, part in given.items() if isinstance(part, dict)}
        rows = (*self.fusions, *self.baselines, *self.blends)
        return {label: teacher for label, teacher in found.items() if teacher in rows}


def load_study(
    path: Path, files: Mapping[str, Path] | None = None, names: Mapping[str, Path] | None = None
) -> StudyConfig:
    """Read a study file; the paths in it, of logs, names and teachers, become absolute.

    Args:
        path: the study file.
        files: interaction logs by the label of their data set, instead of those that the study file names.
        names: names of items by the label of their data set, likewise.

    Raises:
        ConfigError: it cannot be read, or something in it is unknown, out of range, missing or doubled.
    """
    values = load_toml(path)
    for kind in ("data", "backbones", "fusions"):
        if not values.get(kind):
            raise ConfigError(f"{path}: the grid is empty, no [{kind}.LABEL] is given. Add at least one.")
    data = values["data"] if isinstance(values["data"], dict) else {}
    for label, file in (files or {}).items():
        if not isinstance(data.get(label), dict):
            raise ConfigError(f"--data {label}={file}: the study has no such data set. {one_of(label, data)}")
        data[label] = {key: value for key, value in data[label].items() if key not in ("name", "synthetic")}
        data[label]["file"] = str(file.resolve())
    for label, file in (names or {}).items():
        if not isinstance(data.get(label), dict):
            raise ConfigError(f"--item-names {label}={file}: the study has no such data set. {one_of(label, data)}")
        path_of = str(file) if str(file) == IDS else str(file.resolve())
        data[label]["settings"] = merge(data[label].get("settings", {}), {"names": {"file": path_of}})
    for source in data.values():
        given = source.get("file") if isinstance(source, dict) else None
        if isinstance(given, str):
            source["file"] = str((path.parent / given).resolve())
        elif isinstance(given, list):
            source["file"] = [str((path.parent / str(part)).resolve()) for part in given]
    rows = {*_labels(values, "fusions"), *_labels(values, "baselines"), *_labels(values, "blends")}
    fusions = _tables(values.get("fusions"))
    for settings in _all_settings(values):
        own = settings.get("names")
        if isinstance(own, dict) and isinstance(own.get("file"), str) and own["file"] not in ("", IDS):
            own["file"] = str((path.parent / own["file"]).resolve())
        distillation = settings.get("distillation")
        if isinstance(distillation, dict) and (teacher := distillation.get("teacher")):
            if teacher in rows and any(settings is fusion for fusion in fusions):
                continue
            distillation["teacher"] = str((path.parent / str(teacher)).resolve())
    return StudyConfig.parse({"title": path.stem, **values}, str(path))


def _all_settings(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every table of run settings in a study file."""
    parts = [values.get("settings"), *_tables(values.get("fusions"))]
    parts += [source.get("settings") for source in _tables(values.get("data"))]
    yield from (part for part in parts if isinstance(part, dict))


def _labels(values: Mapping[str, Any], kind: str) -> Iterable[str]:
    found = values.get(kind)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list | dict) else []


def _tables(value: Any) -> list[dict[str, Any]]:
    return [each for each in value.values() if isinstance(each, dict)] if isinstance(value, dict) else []


def check_files(study: StudyConfig, labels: Iterable[str]) -> None:
    """Check that the interaction logs of some data sets are there, and the run folders of teachers.

    Raises:
        ConfigError: one is not.
    """
    for label in labels:
        file = next((file for file in study.data[label].files if not Path(file).exists()), None)
        if file is not None:
            raise ConfigError(
                f"data.{label}.file: there is no {file}. Give the path relative to the study file, or with "
                f"--data {label}=FILE, or leave that data set out with --only data=LABEL,LABEL."
            )
    for label, settings in study.fusions.items():
        teacher = settings.get("distillation", {}).get("teacher")
        if teacher and label not in study.teachers and not Path(teacher).exists():
            rows = ", ".join((*study.fusions, *study.baselines, *study.blends))
            raise ConfigError(
                f"[fusions.{label}]: distillation.teacher: there is no {teacher}. Give a run folder, relative to the "
                f"study file, or the label of a row of the study: {rows}."
            )
