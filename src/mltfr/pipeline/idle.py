"""Settings that were asked for and mean nothing beside the others, which a warning says."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mltfr.backbones import BACKBONES
from mltfr.config import Config
from mltfr.config.dotted import flatten
from mltfr.errors import MltfrWarning
from mltfr.fusion import FUSIONS, TwoRoundFusion
from mltfr.fusion.adapter import AdapterConfig
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.fusion.mltfr.config import TokenFilterConfig
from mltfr.losses.distillation import DistillationConfig
from mltfr.losses.sampled_softmax import SampledSoftmaxConfig
from mltfr.names.config import OF_WORDS, NamesConfig
from mltfr.pipeline.config import RunConfig

OF_TRAINING = ("loss", "objective", "training")
"""Settings that mean nothing to a baseline, but for the next one."""
JUDGED_BY = "training.metric"
"""The setting of training by which a baseline is judged too, see `RunConfig.judged_by`."""
OF_STATIC = ("granularity", "keep", "shortlist")
"""Settings of a filter that say which tokens there are without one, and how many these may be."""
OF_ROUNDS = (
    "training.first_round_epochs", "training.second_round", "training.keep_rounds", "training.advanced.fisher_examples",
)  # fmt: skip
OF_MASKS = ("training.mask_ratio", "training.mask_last")
OF_SAMPLES = ("training.samples", "training.advanced.window_targets")
"""Settings of samples that mean nothing to masked histories, but for windows: a batch is divided by their targets."""

Reason = tuple[bool, tuple[str, ...], str]
"""Whether settings mean nothing; which; and why, with what to do."""


def say_what_is_idle(config: RunConfig, layers: Iterable[Mapping[str, Any]]) -> None:
    """Warn of flags and overrides that mean nothing to a network beside its other settings.

    Args:
        config: the complete settings.
        layers: those that were asked for, nested; what asks for a default is passed over.
    """
    asked = dict.fromkeys(key for layer in layers for key in flatten(layer) if _is_no_default(config, key))
    for is_so, keys, why in _reasons(config):
        idle = [key for key in asked if key in keys] if is_so else []
        for key in idle:
            del asked[key]
        if idle:
            text = f"{', '.join(idle)}: {'has' if len(idle) == 1 else 'have'} no meaning here, since {why}."
            warnings.warn(text, MltfrWarning, stacklevel=3)


def _reasons(config: RunConfig) -> Iterator[Reason]:
    """Yield what can be idle, and why; the first reason that holds for a setting is told."""
    names, training, loss = config.names, config.training, config.loss
    fusion, backbone = config.fusion, BACKBONES.get(config.backbone.name).cls
    corrects = FUSIONS.get(fusion.name).cls
    unread = names.use == "none"
    no_names = "names.use = 'none' reads none" if unread else "no names are given. Add --item-names FILE"
    of_names = _keys("names", NamesConfig, *(("file", "use") if unread else ()))  # those say that none are read
    yield not names.are_used, of_names, no_names
    by_words = "names are read as words. Set names.read=tables for it"
    yield not names.by_tables, ("names.first_direction",), by_words
    yield names.components != "variance", ("names.whiten",), "names.components is not 'variance'. Set it so"
    yield names.use != "additive", ("names.rate_factor",), "names.use is not 'additive'. Set it so"
    tables = len(config.tokens.tables)
    yield not tables, ("tokens.width", "tokens.align", "tokens.prepare"), "no token table is read"
    raw = "tokens.prepare = 'raw' leaves tables as they are shipped"
    yield config.tokens.prepare == "raw", ("tokens.width", "tokens.align"), raw
    yield tables == 1, ("tokens.align",), "there is one token table only"
    controlled = names.are_used and names.control != "none"
    no_control = not controlled and corrects.control == "none"
    yield no_control, ("tokens.control_seed",), "nothing is replaced by a control"
    of_teacher = _keys("distillation", DistillationConfig)
    yield not config.distillation.teacher, of_teacher, "there is no teacher. Add --teacher RUN"
    masks, of_backbone = backbone.uses_mask_token, f"backbone '{config.backbone.name}'"
    yield masks and training.samples != "windows", OF_SAMPLES, f"{of_backbone} is trained by masking"
    yield not masks, OF_MASKS, f"{of_backbone} is not trained by masking"
    fixed = training.samples in ("prefixes", "positions")
    yield fixed, ("training.advanced.window_targets",), f"training.samples is '{training.samples}', not 'windows'"
    one_round = f"there is one round only, with fusion '{fusion.name}' as it is set. Two has, for one, fusion 'mltfr'"
    yield corrects.rounds_of(fusion) == 1, OF_ROUNDS, f"{one_round} with a consensus_weight above 0"
    by_batch = issubclass(corrects, TwoRoundFusion) and corrects.fisher_estimator == "batch"
    yield by_batch, ("training.advanced.fisher_examples",), f"fusion '{fusion.name}' takes all training samples"
    similarity = getattr(config.backbone, "similarity", None)
    yield similarity == "dot", ("backbone.temperature",), "backbone.similarity is 'dot'. Set it to 'cosine'"
    if isinstance(fusion, AdapterConfig):
        of_moe, kind = ("fusion.experts", "fusion.dropout"), fusion.kind
        yield kind != "whitening", ("fusion.whitening",), f"fusion.kind is '{kind}', not 'whitening'"
        yield kind != "moe", of_moe, f"fusion.kind is '{kind}', not 'moe'"
    if isinstance(fusion, MltfrConfig) and issubclass(corrects, MltfrFusion):  # a capacity control has no filter
        asks = () if backbone.is_causal else ("query",)  # what a bidirectional backbone refuses, it refuses here too
        of_filter = _keys("fusion.filter", TokenFilterConfig, *OF_STATIC, *asks)
        static = fusion.filter.granularity == "static"
        yield static, of_filter, "fusion.filter.granularity = 'static' filters nothing"
        not_decaying = "fusion.filter.query is not 'exponential'"
        yield fusion.filter.query == "mean", ("fusion.filter.query_decay",), not_decaying
        yield fusion.filter.noise == 0, ("fusion.filter.noise_steps",), "fusion.filter.noise is 0"
    uniform = isinstance(loss, SampledSoftmaxConfig) and loss.sampling == "uniform"
    yield uniform, ("loss.alpha",), "loss.sampling is 'uniform'. Set it to 'popularity'"


def _keys(table: str, settings: type[Config], *others: str) -> tuple[str, ...]:
    """Return the keys of a table's settings, without some."""
    return tuple(f"{table}.{name}" for name in settings.model_fields if name not in others)


def _is_no_default(config: RunConfig, key: str) -> bool:
    """Return whether a setting has another value than by default."""
    *path, name = key.split(".")
    owner: Any = config
    for part in path:
        owner = getattr(owner, part, None)
    field = getattr(type(owner), "model_fields", {}).get(name)
    return field is not None and getattr(owner, name) != field.default


def say_what_is_idle_to_a_baseline(baseline: str, layers: Iterable[Mapping[str, Any]]) -> None:
    """Warn of flags and overrides that mean nothing to a baseline.

    Args:
        baseline: its name.
        layers: the settings that were asked for, nested.
    """
    given = {key: value for layer in layers for key, value in flatten(layer).items() if key != JUDGED_BY}
    of_training = [key for key in given if key.partition(".")[0] in OF_TRAINING]
    of_names = [key for key, value in given.items() if key.startswith("names.") and _tells_no_words(key, value)]
    for why, idle in (("is fitted in one pass", of_training), ("reads the words of names alone", of_names)):
        if idle:
            text = f"the baseline '{baseline}' {why}, so these have no meaning with it: {', '.join(idle)}."
            warnings.warn(text, MltfrWarning, stacklevel=3)


def say_that_tables_are_idle(fusion: str, names: NamesConfig) -> None:
    """Warn that token tables were named, and nothing reads them.

    Args:
        fusion: its name.
        names: the settings of names.
    """
    how = ", and names are read as words" if names.are_used else ""
    or_names = ", or names with --set names.read=tables" if names.are_used else ""
    text = (
        f"no token table is read, since fusion '{fusion}' reads none{how}. Leave --tokens out, or read them with "
        f"--fusion mltfr{or_names}."
    )
    warnings.warn(text, MltfrWarning, stacklevel=3)


def _tells_no_words(key: str, value: Any) -> bool:
    """Return whether a setting of names does not say which words items have, which is all that a baseline reads."""
    name = key.removeprefix("names.")
    return name not in (*OF_WORDS, "use", "new_items", "control") or (name == "control" and value == "random")
