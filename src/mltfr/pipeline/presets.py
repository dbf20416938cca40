"""Presets, and the order in which settings override each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, get_args

from mltfr.backbones import BACKBONES
from mltfr.baselines import BASELINES
from mltfr.config import apply_overrides
from mltfr.config.registry import Entry, lookup
from mltfr.errors import ConfigError, one_of
from mltfr.fusion import FUSIONS, Fusion, FusionConfig
from mltfr.pipeline.config import Preset, RunConfig

DEFAULT_NAMES = {"backbone": "sasrec", "fusion": "mltfr"}
"""What a run takes that names none."""

COMPONENTS = ("backbone", "fusion", "loss", "objective")
"""Settings that may be given as a name alone."""

REFERENCE_NAMES = {"mltfr": "mltfr-reference"}
"""Fusions whose published arithmetic has a name of its own."""

CONTROLS = {
    "random": "Control: mltfr on Gaussian rows with each table's mean and covariance.",
    "shuffled": "Control: mltfr on tables with each column permuted on its own.",
}
"""Names that stand for mltfr with `tokens.control` set, and what they are."""

# Published settings: kept tokens K, consensus weight lambda, epochs of round 1. Losses that were not published are
# those of the backbone's own code. Where the published training shows a backbone its targets, it is trained on
# prefixes. A backbone is named only, and may be one that another package registers.
_REFERENCE_BACKBONES: dict[str, dict[str, Any]] = {
    "sasrec": {
        "backbone": {"norm": "pre", "input_norm": False, "scale_input": True, "activation": "relu", "inner": 1},
        "fusion": {"keep": 1, "consensus_weight": 0.01},
        "loss": {"name": "bce"},
        "training": {"samples": "positions", "first_round_epochs": 20},
    },
    "bert4rec": {
        "backbone": {},
        "fusion": {"keep": 1, "consensus_weight": 0.2},
        "loss": {"name": "cross_entropy"},
        "training": {"mask_ratio": 0.5, "first_round_epochs": 100},
    },
    "fmlp-rec": {
        "backbone": {},
        "fusion": {"keep": 10, "consensus_weight": 0.05},
        "loss": {"name": "bce"},
        "training": {"samples": "prefixes", "first_round_epochs": 20},
    },
    "bsarec": {
        "backbone": {},
        "fusion": {"keep": 10, "consensus_weight": 0.1},
        "loss": {"name": "cross_entropy"},
        "training": {"samples": "prefixes", "first_round_epochs": 20},
    },
    "linrec": {
        "backbone": {},
        "fusion": {"keep": 1, "consensus_weight": 0.1},
        "loss": {"name": "cross_entropy"},
        "training": {"samples": "prefixes", "first_round_epochs": 20},
    },
}
_REFERENCE_BACKBONES["cl4srec"] = _REFERENCE_BACKBONES["sasrec"]
_REFERENCE = {
    "tokens": {"prepare": "raw"},
    "backbone": {"hidden": 64, "blocks": 2, "max_length": 50, "dropout": 0.2},
    "training": {"batch_size": 128, "epochs": 100, "learning_rate": 1e-3, "gradient_clip": 0.0, "patience": 100},
}


def resolve(
    *,
    preset: str | None = None,
    file: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    fusion: str | None = None,
    tokens: Iterable[str] | None = None,
    words: Iterable[str] | None = None,
    item_vectors: str | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    overrides: Iterable[str] = (),
    where: str = "settings",
) -> RunConfig:
    """Return the complete settings of a run.

    Later wins: the preset, the config file, the flags, then the `KEY=VALUE` overrides.

    Args:
        preset: "default" or "reference"; a config file that names another one is refused, since its settings
            are those of that preset.
        file: nested settings of a config file.
        backbone: name of a backbone or of a baseline; with a baseline, the fusion is "none" unless one is named.
        fusion: name of a fusion, or of one of `CONTROLS`.
        tokens: names of token tables.
        words: words of fusion "external".
        item_vectors: path of the item vectors of fusion "adapter".
        seed: seed of everything random.
        epochs: most epochs of a round.
        overrides: `KEY=VALUE` texts.
        where: where the settings come from, for messages.

    Raises:
        ConfigError: an unknown name or setting, or a value out of range.
    """
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
            "training": {"epochs": epochs},
        }
    )
    file = _without_control(_named(file or {}))
    flags = _without_control(flags, _name(file, "fusion"))
    overrides = list(overrides)
    if _names_real_fusion(apply_overrides(flags, overrides)) and isinstance(file.get("tokens"), Mapping):
        file["tokens"] = {key: value for key, value in file["tokens"].items() if key != "control"}
    given = _given(file, flags, overrides)
    if _is_left_behind(file, _name(given, "backbone")):
        del file["objective"]
        given = _given(file, flags, overrides)
    for flag, reader, value in (("--words", "external", words), ("--item-vectors", "adapter", item_vectors)):
        if value is not None and _name(given, "fusion") != reader:
            raise ConfigError(
                f"{flag} is read by fusion '{reader}', but the fusion is '{_name(given, 'fusion')}'. "
                f"Add --fusion {reader}, or leave {flag} out."
            )
    chosen = str(given.get("preset", "default"))
    if chosen not in get_args(Preset):
        raise ConfigError(f"Unknown preset '{chosen}'. {one_of(chosen, get_args(Preset))}")
    if file.get("preset", chosen) != chosen:
        raise ConfigError(
            f"{where}: the settings are those of preset '{file['preset']}', but preset '{chosen}' is asked for. "
            "Leave out one of the two."
        )
    published, asked = _name(file, "backbone"), _name(given, "backbone")
    if file.get("preset") == "reference" and "backbone" in file and _backbone(published).name != asked:
        raise ConfigError(
            f"{where}: these are the published settings of backbone '{published}', but backbone '{asked}' is asked "
            f"for. Leave out the file, and give --preset reference --backbone {asked}."
        )
    values = _merge(_preset(chosen, given), given)
    if chosen == "reference":
        name = values["fusion"]["name"]
        values["fusion"]["name"] = REFERENCE_NAMES.get(name, name)
    if not _fusion(values["fusion"]["name"]).cls.needs_tables and tokens is None:
        values = _merge(values, {"tokens": {"tables": []}})  # nothing reads them
    return RunConfig.parse(values, where)


def _preset(preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    backbone = _name(given, "backbone")
    is_baseline = not BACKBONES.find(backbone) and BASELINES.find(backbone)  # in this order: baselines import scipy
    fusion = "none" if is_baseline and "fusion" not in given else _name(given, "fusion")
    values: dict[str, Any] = {
        "preset": preset,
        "backbone": {"name": backbone},
        "fusion": {"name": fusion},
    }
    if preset == "reference":
        if backbone not in _REFERENCE_BACKBONES:
            raise ConfigError(
                f"Preset 'reference' has no published settings for backbone '{backbone}'. "
                f"{one_of(backbone, _REFERENCE_BACKBONES)}"
            )
        own = deepcopy(_REFERENCE_BACKBONES[backbone])
        if fusion not in (*REFERENCE_NAMES, *REFERENCE_NAMES.values()):
            own["fusion"] = {}
        values = _merge(_merge(values, _REFERENCE), own)
    return values


def _backbone(name: str) -> Entry[Any, Any]:
    return lookup(name, BACKBONES, BASELINES)


def _fusion(name: str) -> Entry[Fusion, FusionConfig]:
    known = [*FUSIONS.names(), *CONTROLS]
    try:
        return FUSIONS.get(name)
    except ConfigError as error:
        raise ConfigError(f"Unknown fusion '{name}'. {one_of(name, known)}") from error


def _without_control(given: Mapping[str, Any], below: str = "mltfr") -> dict[str, Any]:
    """Return settings with a control written out: fusion mltfr, on tables that mean nothing.

    Args:
        given: nested settings.
        below: the fusion that they override, whose settings stay where it is mltfr in either arithmetic.
    """
    values, name = deepcopy(dict(given)), _name(given, "fusion")
    if name in CONTROLS:
        fusion = values["fusion"] if isinstance(values["fusion"], Mapping) else {}
        values["fusion"] = {**fusion, "name": below if below in REFERENCE_NAMES.values() else "mltfr"}
        values = _merge(values, {"tokens": {"control": name}})
    return values


def _named(file: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's settings with components as tables, backbone and fusion with a name."""
    values = deepcopy(dict(file))
    for key in COMPONENTS:
        if isinstance(values.get(key), str):
            values[key] = {"name": values[key]}
    for key, name in DEFAULT_NAMES.items():
        if isinstance(values.get(key), Mapping):
            values[key] = {"name": name, **values[key]}
    return values


def _given(file: Mapping[str, Any], flags: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    return _canonical(_without_control(apply_overrides(_merge(file, flags), overrides)))


def _names_real_fusion(asked: Mapping[str, Any]) -> bool:
    """Return whether a fusion is asked for by name that is no control, and no control beside it."""
    fusion, tokens = asked.get("fusion"), asked.get("tokens")
    named = isinstance(fusion, str) or (isinstance(fusion, Mapping) and "name" in fusion)
    controlled = isinstance(tokens, Mapping) and "control" in tokens
    return named and not controlled and _name(asked, "fusion") not in CONTROLS


def _is_left_behind(file: Mapping[str, Any], backbone: str) -> bool:
    """Return whether a file's objective is what the paper of its backbone adds, and another backbone is chosen."""
    if not {"backbone", "objective"} <= set(file):
        return False
    entry, given = BACKBONES.find(_name(file, "backbone")), file["objective"]
    if entry is None:  # a baseline has none
        return True
    own = entry.cls.objective
    return entry.name != backbone and (given.get("name", own) if isinstance(given, Mapping) else given) == own


def _canonical(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the names of backbone and fusion as they are registered."""
    values = deepcopy(dict(given))
    for key, entry_of in (("backbone", _backbone), ("fusion", _fusion)):
        if key in values:
            name = entry_of(_name(values, key)).name
            values[key] = {**values[key], "name": name} if isinstance(values[key], Mapping) else {"name": name}
    return values


def _name(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key, DEFAULT_NAMES[key])
    return str(value.get("name", DEFAULT_NAMES[key])) if isinstance(value, Mapping) else str(value)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with those of `above` on top; another component's settings do not mix."""
    merged = deepcopy(dict(below))
    for key, value in above.items():
        if isinstance(value, str) and key in COMPONENTS:
            value = {"name": value}
        old = merged.get(key)
        if isinstance(value, Mapping) and not isinstance(old, Mapping | None):
            raise ConfigError(f"'{key}' is {old!r}, but it is a table of settings, as in `[{key}]`.")
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            same = value.get("name", old.get("name")) == old.get("name")
            merged[key] = _merge(old, value) if same else deepcopy(dict(value))
        else:
            merged[key] = deepcopy(value)
    return merged


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {k: _without_none(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    return {key: value for key, value in cleaned.items() if value is not None and value != {}}
