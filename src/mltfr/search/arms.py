"""What a search tries, by preset: baselines, backbones with and without names and tables, and drawn settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mltfr.baselines import BASELINES
from mltfr.config import merge
from mltfr.interactions import Split
from mltfr.pipeline.quick_baselines import cost_of
from mltfr.search.request import Request
from mltfr.search.rows import FLOOR
from mltfr.study.cell import Cell
from mltfr.study.config import StudyConfig
from mltfr.study.settings import with_settings
from mltfr.study.space import Range, Value

DATA = "log"
"""Label of the data set of a search."""
BARE, WORDS, NAMES, TABLES = "none", "words", "names", "mltfr"
"""Labels of the fusions: nothing beside the ids; the words of names; names as token tables read them; the fusion of
token tables with ids."""
SHARE_OF_A_BASELINE = 0.05
"""Share of the time that a baseline may take, by its estimate."""
MOST_EASE_ITEMS = 20_000
"""Items from which on EASE's matrix of all pairs takes gigabytes."""
PER_EASE_CELL = 1.5e-10
"""Seconds of one thread that EASE takes, by items to the third."""
SPACE: Mapping[str, Range | tuple[Value, ...]] = {
    "training.learning_rate": Range(low=3e-4, high=3e-3, log=True),
    "backbone.dropout": (0.2, 0.35, 0.5, 0.65),
    "backbone.hidden": (48, 64, 96),
    "backbone.blocks": (1, 2, 3),
    "names.scale": (1.0, 2.0, 3.0),
}
"""Settings that are drawn, evenly and independently (random search, Bergstra & Bengio 2012)."""


@dataclass(frozen=True)
class Preset:
    """How much a search tries, and how far.

    Attributes:
        backbones: backbones at their defaults.
        drawn: further networks with drawn settings, at most.
        rungs: epochs after which the better ones are kept.
        keep: share of them that are kept at a rung.
        ease: whether EASE is among the baselines.
        mltfr: whether the fusion of token tables is tried, where some are given.
    """

    backbones: tuple[str, ...]
    drawn: int
    rungs: tuple[int, ...]
    keep: float
    ease: bool = True
    mltfr: bool = True


PRESETS = {
    "quick": Preset(("sasrec",), 0, (), 1.0, ease=False, mltfr=False),
    "good": Preset(("sasrec", "gru4rec"), 6, (3, 9), 1 / 2),
    "best": Preset(("sasrec", "gru4rec", "bsarec", "fmlp-rec"), 18, (4, 12), 1 / 2),
}


def search_study(request: Request) -> StudyConfig:
    """Return the study whose grid a search of many recommenders begins with.

    Raises:
        ConfigError: something in it is unknown or does not fit together.
    """
    preset, tokens = PRESETS[request.preset], list(request.tokens)
    named = bool(request.data.settings.get("names", {}).get("file"))
    tables = {"tokens": {"tables": tokens}}
    bare = {"fusion": {"name": "none"}}
    fusions: dict[str, Any] = {BARE: {**bare, "names": {"use": "none"}}}
    if named:
        fusions[WORDS] = {**bare, "names": {"read": "words"}}
    if named and tokens:
        fusions[NAMES] = {**bare, **tables, "names": {"read": "tables"}}
    if tokens and preset.mltfr:
        fusions[TABLES] = {**tables, "names": {"use": "none"}}
    baselines = [entry.name for entry in BASELINES if _takes_part(entry.name, preset, named)]
    return StudyConfig.parse(
        {
            "title": "search",
            "metrics": [request.metric],
            "seeds": [request.seed],
            "threads": request.threads,
            "baselines": baselines,
            "data": {DATA: request.data.model_dump(exclude_none=True)},
            "settings": merge(request.settings, {"training": {"metric": request.metric}, "trackers": []}),
            "backbones": {name: {} for name in preset.backbones},
            "fusions": fusions,
        },
        "search",
    )


def _takes_part(name: str, preset: Preset, named: bool) -> bool:
    return (named or not BASELINES.get(name).cls.reads_names) and (preset.ease or not name.startswith("ease"))


def baselines_in_time(cells: Sequence[Cell], data: Split, seconds: float) -> tuple[list[Cell], dict[str, float]]:
    """Return the baselines that take a small share of the time, cheapest first, and the others' estimated seconds.

    Args:
        cells: all baselines.
        data: the log, split.
        seconds: the time of the search.
    """
    fitting: list[tuple[float, Cell]] = []
    skipped: dict[str, float] = {}
    for cell in cells:
        name, items = cell.group.backbone, len(data.vocabulary)
        cost, _ = cost_of(name, data, cell.config.evaluation.protocol(data.method))
        if name.startswith("ease"):
            cost += PER_EASE_CELL * float(items) ** 3
        too_large = name.startswith("ease") and items > MOST_EASE_ITEMS
        if name != FLOOR and (cost > SHARE_OF_A_BASELINE * seconds or too_large):
            skipped[name] = round(cost, 1)
        else:
            fitting.append((cost, cell))
    return [cell for _, cell in sorted(fitting, key=lambda pair: pair[0])], skipped


def networks(cells: Sequence[Cell], preset: Preset) -> list[Cell]:
    """Return the networks of a plan that are tried at their defaults, the most promising first.

    The first backbone is tried with everything that is given, the others with the first of it.

    Args:
        cells: the plan.
        preset: its backbones, in order.
    """
    order = {label: place for place, label in enumerate((WORDS, NAMES, BARE, TABLES))}
    found = sorted(
        (cell for cell in cells if cell.is_trained),
        key=lambda cell: (preset.backbones.index(cell.group.backbone), order[cell.group.fusion]),
    )
    first = next((cell.group.fusion for cell in found), BARE)
    return [cell for cell in found if cell.group.backbone == preset.backbones[0] or cell.group.fusion == first]


def drawn(base: Cell, count: int, seed: int) -> list[Cell]:
    """Return networks like one, with drawn settings; the first ones do not depend on how many there are.

    Args:
        base: the network whose settings are replaced.
        count: how many.
        seed: seed of the draws.
    """
    random = np.random.default_rng([seed, 17])
    made = []
    for number in range(1, count + 1):
        settings = {key: draw(choices, random) for key, choices in SPACE.items()}
        config = with_settings(base.config, settings, f"network {number}")
        group = base.group._replace(fusion=f"{base.group.fusion}-{number}")
        made.append(replace(base, group=group, config=config))
    return made


def draw(choices: Range | tuple[Value, ...], random: np.random.Generator) -> Value:
    """Return one of the choices, or a value of the range."""
    if not isinstance(choices, Range):
        return choices[int(random.integers(len(choices)))]
    if choices.log:
        value = float(np.exp(random.uniform(np.log(choices.low), np.log(choices.high))))
    else:
        value = float(random.uniform(choices.low, choices.high))
    return round(value) if choices.whole else float(f"{value:.3g}")
