"""Presets, and the settings of a run: preset, file, flags, overrides, each laid over the one before."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from mltfr.backbones import BACKBONES
from mltfr.baselines import BASELINES
from mltfr.config import load_toml, merge, parse_overrides, with_names
from mltfr.config.registry import Registry, lookup
from mltfr.errors import ConfigError, MltfrWarning, one_of, shown
from mltfr.fusion import FUSIONS, Fusion
from mltfr.names.config import NamesConfig
from mltfr.pipeline.config import Preset, RunConfig
from mltfr.pipeline.idle import say_that_tables_are_idle, say_what_is_idle, say_what_is_idle_to_a_baseline
from mltfr.pipeline.upgrade import refuse_former_names

FOLDER = Path(__file__).with_name("presets")
DEFAULT = "default"
REGISTRIES: dict[str, tuple[Registry[Any, Any], ...]] = {"backbone": (BACKBONES, BASELINES), "fusion": (FUSIONS,)}

Settings = dict[str, Any]


def resolve(
    *,
    preset: str | None = None,
    file: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    fusion: str | None = None,
    tokens: Iterable[str] | str | None = None,
    words: Iterable[str] | None = None,
    item_vectors: str | None = None,
    item_names: str | None = None,
    name_columns: Iterable[str] | str | None = None,
    new_items: bool | None = None,
    teacher: str | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    baselines: bool | None = None,
    overrides: Iterable[str] | Mapping[str, Any] | str = (),
    where: str = "settings",
) -> RunConfig:
    """Return the complete settings of a run.

    Later wins: the preset, the config file, the flags, then the `KEY=VALUE` overrides.

    Args:
        preset: "default" or "reference"; a config file that names another one is refused, since its settings
            are those of that preset.
        file: nested settings of a config file.
        backbone: name of a backbone or of a baseline; with a baseline, the fusion is "none" unless one is named.
        fusion: name of a fusion; with the preset "reference", "mltfr" stands for "mltfr-reference", and so on.
        tokens: names of token tables, as a list or separated by commas.
        words: words of fusion "external".
        item_vectors: path of the item vectors of fusion "adapter".
        item_names: path of the names of the items, "ids" for the ids themselves, or "memory".
        name_columns: columns of that file, as a list or separated by commas; all that hold words if not given.
        new_items: whether items of that file that training has not seen get vectors too.
        teacher: run folder of the teacher.
        seed: random seed.
        epochs: maximum number of epochs in all; of two rounds, the first one gets at most half of them, and each gets
            one at least.
        baselines: whether the baselines that take seconds are fitted beside the run.
        overrides: `KEY=VALUE` texts, or settings by key.
        where: where the settings come from, for messages.

    Raises:
        ConfigError: an unknown name or setting, or a value out of range.
    """
    if isinstance(words, str):
        raise ConfigError(f"words is the text {shown(words)}; expected a list of words.")
    if isinstance(tokens, str):
        tokens = [name.strip() for name in tokens.split(",") if name.strip()]
    flags = _without_none(
        {
            "preset": preset,
            "seed": seed,
            "backbone": {"name": backbone},
            "fusion": {
                "name": fusion,
                "words": list(words) if words is not None else None,
                "vectors": item_vectors,
            },
            "tokens": {"tables": list(tokens) if tokens is not None else None},
            "names": {"file": item_names, "columns": name_columns, "new_items": new_items},
            "distillation": {"teacher": teacher},
            "training": {"epochs": epochs},
            "evaluation": {"baselines": baselines},
        }
    )
    layers: list[Settings] = [dict(file or {}), flags, parse_overrides(overrides)]
    chosen = str(next((layer["preset"] for layer in reversed(layers) if "preset" in layer), DEFAULT))
    base, of_backbones = load_preset(chosen)
    names = {key: {"name": base[key]["name"]} for key in REGISTRIES}
    in_file, *above = (_registered(layer, chosen) for layer in layers)
    in_file = merge({key: name for key, name in names.items() if key in in_file}, in_file, share=_share)
    _check_kinds(merge(names, in_file, *above))
    asked = _name(merge(names, in_file, *above), "backbone")
    if asked == "blend":
        raise ConfigError(f"{where}: a blend is made of fitted runs, not fitted: mltfr blend RUN RUN --out BLEND")
    name = lookup(asked, BACKBONES, BASELINES).name
    _check_file(in_file, chosen, name, where)
    if of_backbones and name not in of_backbones:
        raise ConfigError(
            f"Preset '{chosen}' has no published settings for backbone '{name}'. {one_of(name, of_backbones)}"
        )
    if _is_left_behind(in_file, name):
        del in_file["objective"]
    given = merge(in_file, *above, share=_share)
    if not BACKBONES.find(name):
        given.setdefault("fusion", {"name": "none"})
        say_what_is_idle_to_a_baseline(name, above)
    base = merge(base, of_backbones.get(name, {}))
    base["backbone"]["name"] = name
    values = merge(base, {"preset": chosen}, given, share=_share)
    reader = _name(values, "fusion")
    for flag, fusion_of_flag, value in (("--words", "external", words), ("--item-vectors", "adapter", item_vectors)):
        if value is not None and reader != fusion_of_flag:
            raise ConfigError(
                f"{flag} is read by fusion '{fusion_of_flag}', but the fusion is '{reader}'. "
                f"Add --fusion {fusion_of_flag}, or leave {flag} out."
            )
    names_of = NamesConfig.parse(values.get("names", {}), f"{where}: names")
    trained = BACKBONES.find(name) is not None  # tables given to a baseline are refused by `RunConfig`
    if not (FUSIONS.get(reader).cls.needs_tables or (names_of.read_tables and trained)) and (trained or tokens is None):
        values = merge(values, {"tokens": {"tables": []}})  # nothing reads them
        if trained and any(layer.get("tokens", {}).get("tables") for layer in above):
            say_that_tables_are_idle(reader, names_of)
    refuse_former_names(values, where)
    config = RunConfig.parse(values, where)
    if trained:
        say_what_is_idle(config, above)
    if FUSIONS.get(config.fusion.name).cls.rounds_of(config.fusion) == 1:
        return config
    overridden = above[-1].get("training", {})
    divided = _with_epochs(config, epochs) if epochs is not None and "epochs" not in overridden else config
    if "first_round_epochs" in overridden:
        _say_what_is_cut(config.training.first_round_epochs, divided, by_flag=divided is not config)
    return divided


def _check_kinds(settings: Settings) -> None:
    """Refuse a backbone that is the name of a fusion, and a fusion that is the name of a backbone."""
    for kind, other in (("backbone", "fusion"), ("fusion", "backbone")):
        name = _name(settings, kind)
        known = any(registry.find(name) for registry in REGISTRIES[kind])  # baselines are imported on use
        if not known and any(registry.find(name) for registry in REGISTRIES[other]):
            raise ConfigError(f"'{name}' is a {other}, and no {kind}: give it as --{other} {name}.")


def _with_epochs(config: RunConfig, epochs: int) -> RunConfig:
    """Return settings whose two rounds have so many epochs in all, but each at least one; round 1 at most half."""
    first = min(config.training.first_round_epochs, max(1, epochs // 2))
    training = config.training.model_copy(update={"epochs": max(1, epochs - first), "first_round_epochs": first})
    return config.model_copy(update={"training": training})


def _say_what_is_cut(asked: int, config: RunConfig, by_flag: bool) -> None:
    """Warn where round 1 has fewer epochs than an override asks for, of which there can be only so many."""
    has = min(config.training.first_round_epochs, config.training.epochs)
    if has < asked:
        of_all = f"half of all epochs. Give epochs={2 * asked} or more (--epochs {2 * asked})"
        limit = of_all if by_flag else f"as many as round 2. Give training.epochs={asked} or more"
        text = f"training.first_round_epochs={asked} is cut to {has}: round 1 has at most {limit}."
        warnings.warn(text, MltfrWarning, stacklevel=3)


def load_preset(name: str) -> tuple[Settings, dict[str, Settings]]:
    """Return a preset's settings, and those that it has for single backbones alone, by their names.

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in get_args(Preset):
        raise ConfigError(f"Unknown preset '{name}'. {one_of(name, get_args(Preset))}")
    layers = [load_toml(FOLDER / f"{layer}.toml") for layer in dict.fromkeys((DEFAULT, name))]
    settings = merge(*layers)
    return settings, settings.pop("backbones", {})


def _registered(layer: Mapping[str, Any], preset: str) -> Settings:
    """Return settings with the names of backbone and fusion as they are registered, where they are.

    A fusion whose published arithmetic has a name of its own ("mltfr-reference") goes by it in that preset.
    """
    values = with_names(layer)
    for key, registries in REGISTRIES.items():
        if isinstance(values.get(key), Mapping) and "name" in values[key]:
            given = str(values[key]["name"])
            entry = next(filter(None, (registry.find(given) for registry in registries)), None)
            if entry is not None and key == "fusion" and preset != DEFAULT:
                entry = FUSIONS.find(f"{entry.name}-{preset}") or entry
            values[key] = {**values[key], "name": entry.name if entry is not None else given}
    return values


def _share(key: str, old: str, new: str) -> bool:
    """Return whether two fusions take the same settings: one of them is the other's control, or both are of one."""
    if key != "fusion":
        return False
    one, other = FUSIONS.find(old), FUSIONS.find(new)
    return one is not None and other is not None and _controlled(one.cls) is _controlled(other.cls)


def _controlled(fusion: type[Fusion]) -> type:
    """Return the class whose tables a control replaces; a fusion that is no control is its own."""
    return next(cls for cls in fusion.__mro__ if getattr(cls, "control", "none") == "none")


def _check_file(file: Settings, preset: str, backbone: str, where: str) -> None:
    """Check that a file's settings are of the preset and, if it is a published one, of the backbone asked for."""
    if file.get("preset", preset) != preset:
        raise ConfigError(
            f"{where}: the settings are those of preset '{file['preset']}', but preset '{preset}' is asked for. "
            "Leave out one of the two."
        )
    if file.get("preset", DEFAULT) != DEFAULT and "backbone" in file and _name(file, "backbone") != backbone:
        raise ConfigError(
            f"{where}: these are the published settings of backbone '{_name(file, 'backbone')}', but backbone "
            f"'{backbone}' is asked for. Leave out the file, and give --preset {preset} --backbone {backbone}."
        )


def _is_left_behind(file: Settings, backbone: str) -> bool:
    """Return whether a file's objective is what the paper of its backbone adds, and another backbone is chosen."""
    if not {"backbone", "objective"} <= set(file):
        return False
    entry, given = BACKBONES.find(_name(file, "backbone")), file["objective"]
    if entry is None:  # a baseline has none
        return True
    own = entry.cls.objective
    return entry.name != backbone and (given.get("name", own) if isinstance(given, Mapping) else given) == own


def _name(settings: Mapping[str, Any], key: str) -> str:
    value = settings[key]
    return str(value.get("name")) if isinstance(value, Mapping) else str(value)


def _without_none(values: Mapping[str, Any]) -> Settings:
    cleaned = {k: _without_none(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    return {key: value for key, value in cleaned.items() if value is not None and value != {}}
