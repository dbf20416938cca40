"""From the study file to its cells, each with complete settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from mltfr.backbones import BACKBONES
from mltfr.baselines import BASELINES
from mltfr.config import flatten, merge
from mltfr.config.registry import Registry
from mltfr.errors import ConfigError, did_you_mean
from mltfr.fusion import FUSIONS
from mltfr.names.config import NamesConfig
from mltfr.pipeline import resolve
from mltfr.study.arms import with_arms
from mltfr.study.cell import Cell, Group
from mltfr.study.config import DEFAULT_TABLES, StudyConfig
from mltfr.study.draws import check_draws, draws_of
from mltfr.study.nameless import Instead, baselines_left_out, stand_ins, words_of
from mltfr.study.settings import OF_BACKBONES, OF_FUSIONS, OF_TABLES, check_only, check_without, is_among
from mltfr.study.space import TUNABLE

SHARED = ("loss", "training", "filters", "split", "evaluation")
"""Settings that all cells of one data set have in common, but for those that a backbone may set."""
Windows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Settings of every window, by the label of the data set; see `rolling.windows_of`."""


def make_plan(study: StudyConfig, windows: Windows | None = None) -> list[Cell]:
    """Return all cells in the order in which they run: baselines, then seed by seed, the compared fusion first.

    Of a seed, those that are made of others come last, and further draws of the controls behind all.

    Args:
        study: the study.
        windows: the windows of the data sets with a rolling split whose logs are open. Cells of the others have no
            borders yet: they have names, and do not run.

    Raises:
        ConfigError: an unknown name or setting, or settings that would make a comparison unfair.
    """
    _check_parts(study)
    instead = left_out(study, windows)
    grid = [cell for cell in _grid(study, windows or {}) if (cell.group.data, cell.label) not in instead]
    drawn = [each for cell in grid for each in draws_of(study, cell)]
    cells = with_arms(study, [*_baselines(study, windows or {}), *drawn], instead)
    check_draws(study, cells)
    _check_same(cells)
    _check_metrics(study, cells)
    _check_space(study, cells)
    return cells


def left_out(study: StudyConfig, windows: Windows | None = None) -> Instead:
    """Return the fusions that do not run on a data set without names, with those that stand for them."""
    first = takewhile(lambda cell: cell.seed == study.seeds[0], _grid(study, windows or {}))
    return stand_ins(first, study.compare_with)


def _check_metrics(study: StudyConfig, cells: list[Cell]) -> None:
    """Check that every cell measures the metrics of the tables."""
    for cell in cells:
        measured = cell.config.evaluation.metric_names
        for metric in study.metrics:
            if metric not in measured:
                raise ConfigError(
                    f"metrics names '{metric}', which {cell.group} does not measure ({', '.join(measured)}). Add it to "
                    "evaluation.metrics or evaluation.cutoffs in [settings]."
                )


def _sources(study: StudyConfig, windows: Windows) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield label, window and settings of every data set, once a window; without a rolling split once."""
    for label, data in study.data.items():
        borders = windows.get(label, [{}] * len(data.windows))
        for window, of_window in zip(data.windows, borders, strict=True):
            yield label, window, merge(data.settings, data.reading, of_window)


def _baselines(study: StudyConfig, windows: Windows) -> Iterator[Cell]:
    nameless = baselines_left_out(study)
    for label, window, of_data in _sources(study, windows):
        common = merge(study.settings, of_data)
        shared = {key: value for key, value in common.items() if key not in ("backbone", *OF_FUSIONS)}
        for name in study.baselines:
            if name in nameless.get(label, ()):
                continue
            own = {"names": words_of(study, label)} if BASELINES.get(name).cls.reads_names else {}
            settings = {**shared, **own, "backbone": {"name": name}, "fusion": {"name": "none"}, "seed": study.seeds[0]}
            config = resolve(file=settings, where=f"baseline '{name}' of data set '{label}'")
            yield Cell(Group(label, name, "", "", window), study.seeds[0], config, baseline=True)


def _grid(study: StudyConfig, windows: Windows) -> Iterator[Cell]:
    fusions = sorted(study.fusions, key=lambda label: label != study.compare_with)
    backbones = {label: named("backbone", label, settings) for label, settings in study.backbones.items()}
    for seed in study.seeds:
        for data, window, of_data in _sources(study, windows):
            for backbone, of_backbone in backbones.items():
                for fusion in fusions:
                    of_fusion = named("fusion", fusion, study.fusions[fusion])
                    names = merge(study.settings, of_data, of_fusion).get("names", {})
                    for tables, of_tables in _table_sets(study, of_fusion, names):
                        group = Group(data, backbone, fusion, tables, window)
                        layers = (study.settings, of_data, of_backbone, of_fusion, of_tables, {"seed": seed})
                        yield Cell(group, seed, resolve(file=merge(*layers), where=str(group)))


def named(kind: str, label: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the component's name, which is the label unless they give a name."""
    return merge({kind: {"name": label}}, settings)


def _reads_tables(of_fusion: Mapping[str, Any], names: dict[str, Any]) -> bool:
    """Return whether a fusion reads token tables, or the names of the items beside it do."""
    named = NamesConfig.parse(names, "names").read_tables
    return named or FUSIONS.get(of_fusion["fusion"]["name"]).cls.needs_tables


def _table_sets(
    study: StudyConfig, of_fusion: Mapping[str, Any], names: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Return label and settings of the table sets that a fusion runs with, and the names beside it."""
    own = of_fusion.get("tokens", {}).get("tables")
    if not _reads_tables(of_fusion, names):
        return [("", {})]
    if own is not None:
        return [("+".join(own), {})]
    sets = {label: {"tokens": {**of.tokens, "tables": list(of.tables)}} for label, of in study.tables.items()}
    return list(sets.items()) or [(DEFAULT_TABLES, {})]


def _check_parts(study: StudyConfig) -> None:
    """Check that every part of the file names what exists, and sets nothing that belongs elsewhere."""
    elsewhere = {"reading": "[data.LABEL]", "seed": "seeds"}
    elsewhere |= {"backbone.name": "[backbones.LABEL]", "fusion.name": "[fusions.LABEL]"}
    check_without("[settings]", study.settings, elsewhere)
    for label, data in study.data.items():
        check_without(f"[data.{label}.settings]", data.settings, {**elsewhere, "fusion": "[fusions.LABEL]"})
        if data.rolling is not None:
            own = {"split": f"data.{label}.rolling", "filters.until": f"data.{label}.rolling.until"}
            own = {key: f"{place}, or into [data.LABEL.settings] of data sets without" for key, place in own.items()}
            for where, settings in (("[settings]", study.settings), (f"[data.{label}.settings]", data.settings)):
                check_without(where, settings, own)
    for label, settings in study.backbones.items():
        check_only(f"[backbones.{label}]", settings, OF_BACKBONES)
        _check_name(BACKBONES, "backbone", label, settings)
    for label, settings in study.fusions.items():
        check_only(f"[fusions.{label}]", settings, OF_FUSIONS)
        _check_name(FUSIONS, "fusion", label, settings)
    for label, tables in study.tables.items():
        check_only(f"[tables.{label}]", {"tokens": tables.tokens}, OF_TABLES)
    for name in study.baselines:
        try:
            BASELINES.get(name)
        except ConfigError as error:
            raise ConfigError(f"baselines: {error}") from error
    if (nameless := baselines_left_out(study)).keys() == study.data.keys():
        raise ConfigError(
            f"baselines: {', '.join(next(iter(nameless.values())))} is made of the names of items, and no data set has "
            "any. Set settings.names.file in [data.LABEL], or give --item-names LABEL=FILE."
        )
    fusions = [named("fusion", label, settings) for label, settings in study.fusions.items()]
    every = [merge(study.settings, data.settings, of) for data in study.data.values() for of in fusions]
    read = [of for of in every if _reads_tables(of, of.get("names", {}))]
    if study.tables and not any("tables" not in of.get("tokens", {}) for of in read):
        raise ConfigError("[tables.LABEL] is given, but no fusion reads it. Add a fusion that does, or remove it.")


def _check_name(registry: Registry[Any, Any], kind: str, label: str, settings: Mapping[str, Any]) -> None:
    name = named(kind, label, settings)[kind]["name"]
    try:
        registry.get(name)
    except ConfigError as error:
        raise ConfigError(
            f"[{kind}s.{label}]: {error} A label that is not a registered name needs {kind} = {{name = ...}}."
        ) from error


def _check_same(cells: list[Cell]) -> None:
    """Check that cells of one data set share their settings; a preset may differ by backbone, for instance."""
    first: dict[tuple[str, str], tuple[Cell, dict[str, Any]]] = {}
    for cell in cells:
        if not cell.is_trained:
            continue
        dump = cell.config.model_dump(mode="json", include=set(SHARED))
        shared = {key: value for key, value in flatten(dump).items() if key not in OF_BACKBONES}
        other, expected = first.setdefault((cell.group.data, cell.group.window), (cell, shared))
        for key in sorted(shared.keys() | expected.keys(), key=lambda key: (not key.endswith(".name"), key)):
            if shared.get(key) != expected.get(key):
                raise ConfigError(
                    f"'{key}' is {expected.get(key)!r} for {other.group}, but {shared.get(key)!r} for {cell.group}: "
                    "cells of one data set have to share it. Set it in [settings]."
                )


def _check_space(study: StudyConfig, cells: list[Cell]) -> None:
    space = study.tuning.space if study.tuning is not None else {}
    known = [flatten(cell.config.model_dump(mode="json")) for cell in cells] if space else []
    for key in space:
        values = [settings[key] for settings in known if key in settings]
        if not values:
            meant = did_you_mean(key, {name for settings in known for name in settings if is_among(name, TUNABLE)})
            raise ConfigError(f"There is no setting '{key}' to search.{meant} See docs/reference.md.")
        if all(value is None for value in values):
            raise ConfigError(
                f"'{key}' has no value, and a search begins with the settings as they are. Give it one to begin with: "
                f"in [settings] of a study, or with --set {key}=VALUE."
            )
