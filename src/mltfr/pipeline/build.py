"""From settings to a model with its initial values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mltfr.backbones import BACKBONES, BackboneConfig
from mltfr.errors import ConfigError
from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.fusion.init import Seeded
from mltfr.fusion.mltfr import MltfrFusion
from mltfr.fusion.mltfr.shared_space import TokenMap, share_space
from mltfr.interactions import Split
from mltfr.kernels.gathered import ONE_BY_ONE
from mltfr.losses import LOSSES, Loss, SampledLoss
from mltfr.memory import CORRECTED, DROPPED, MIN_INTERACTIONS, UNIT, TrainingMemory
from mltfr.name_path import NamePath
from mltfr.names.config import NamesConfig
from mltfr.names.space import NameSpace
from mltfr.names.vectors import NameVectors
from mltfr.objectives import OBJECTIVES, Objective
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.models import NeuralModel
from mltfr.tokens import PreparedTable
from mltfr.training.device import make_device
from mltfr.training.optim import uses_sparse_updates


def build_model(
    config: RunConfig,
    items: int,
    tables: Sequence[PreparedTable],
    item_vectors: npt.NDArray[np.float32] | None = None,
    names: NameVectors | None = None,
) -> NeuralModel:
    """Return the model of a run, the same at every call.

    The backbone and the item vectors get the values that they would have without a fusion, so that a fresh
    recommender equals its bare backbone wherever the fusion's first output is zero. Items with a name then begin with
    its vector, or have it added, as the settings say; all other rows stay as they are.

    Args:
        config: the run's settings.
        items: number of items I.
        tables: the prepared token tables, or placeholders of their shapes.
        item_vectors: `[I + 1, W]`, for a fusion that reads some, or zeros of that shape.
        names: the vectors of the items' names; None where there are none, or the weights are to be replaced.

    Raises:
        ConfigError: the fusion's site is not a block of the backbone, the objective does not suit it, or a baseline
            stands in its place.
    """
    if not isinstance(config.backbone, BackboneConfig):
        raise ConfigError(f"backbone '{config.backbone.name}' is a baseline: it has no network to build.")
    blocks = getattr(config.backbone, "blocks", None)
    if blocks is not None and config.fusion.site != "items" and config.fusion.site >= blocks:
        raise ConfigError(
            f"fusion.site is {config.fusion.site}, but the backbone has blocks 0 to {blocks - 1}. Lower it."
        )
    with Seeded(config.seed) as drawn:
        backbone = BACKBONES.get(config.backbone.name).cls(config.backbone)
        if config.objective.name != "none" and (not backbone.is_causal or backbone.uses_mask_token):
            raise ConfigError(
                f"objective '{config.objective.name}' contrasts what a causal backbone makes of its last item, and "
                f"'{config.backbone.name}' is not causal or is read at a mask token. "
                "Choose objective 'none', or a causal backbone such as 'sasrec'."
            )
        fusion = None
        if config.fusion.name != "none":
            vectors = torch.from_numpy(item_vectors) if item_vectors is not None else None
            inputs = FusionInputs(
                backbone.hidden, backbone.is_causal, tables, config.seed, vectors, config.backbone.dropout
            )
            with drawn.copy():  # numbers of its own: the item vectors do not depend on it
                fusion = FUSIONS.get(config.fusion.name).cls(config.fusion, inputs)
        hides_items = OBJECTIVES.get(config.objective.name).cls.hides_items
        model = NeuralModel(items, backbone, fusion, config.fusion.site, hides_items)
    if config.names.are_used:
        _add_names(model, config.names, names)
    return model


def _add_names(model: NeuralModel, config: NamesConfig, names: NameVectors | None) -> None:
    """Add to items, as they begin, the vectors of their names, or give the model the path that adds these.

    Args:
        model: as it would be without names.
        config: settings.
        names: the vectors; None where the model's weights, of which they are a part or begin, are to be replaced.
    """
    rows, hidden = model.item_embedding.weight.shape
    width = config.dimensions or hidden
    vectors = torch.from_numpy(names.vectors) if names is not None else torch.zeros(model.items + 1, width)
    if config.use == "additive":
        model.names = NamePath(vectors, rows, hidden, config.rate_factor, config.null_space)
    elif names is not None:
        with torch.no_grad():
            model.item_embedding.weight[: len(vectors), :width] += vectors
    if config.shared_space and names is not None and names.space is not None and isinstance(model.fusion, MltfrFusion):
        share_space(model.fusion, _token_maps(names.space, hidden))


def _token_maps(space: NameSpace, hidden: int) -> dict[str, TokenMap]:
    """Return where tokens lie in the space of names, of the hidden width; components that names lack are zero."""
    maps = {}
    for name, basis in space.maps.items():
        whole = np.zeros((len(basis) + 1, hidden))
        whole[:, : basis.shape[1]] = np.vstack([basis, space.offset(name)])  # [W + 1, D]
        weight, bias = (torch.from_numpy(values).float() for values in (whole[:-1].T, whole[-1]))
        maps[name] = TokenMap(weight, bias)
    return maps


def count_parameters(model: NeuralModel) -> dict[str, int]:
    """Return how many numbers train: in total, and of the fusion."""
    parts = {"total": model.parameters(), "fusion": model.fusion.parameters() if model.fusion is not None else ()}
    return {name: sum(p.numel() for p in parameters if p.requires_grad) for name, parameters in parts.items()}


def build_loss(config: RunConfig, counts: npt.NDArray[np.int64]) -> Loss:
    """Return the training loss.

    Args:
        config: the run's settings.
        counts: int64 `[I + 1]`, training interactions of every item code.
    """
    return LOSSES.get(config.loss.name).cls(config.loss, torch.from_numpy(counts))


def build_objective(config: RunConfig, items: int) -> Objective | None:
    """Return what is added to the training loss, None for nothing.

    Args:
        config: the run's settings.
        items: number of items I.
    """
    if config.objective.name == "none":
        return None
    return OBJECTIVES.get(config.objective.name).cls(config.objective, items)


def training_memory(config: RunConfig, split: Split) -> TrainingMemory:
    """Return the memory estimate of a run that trains.

    Raises:
        ConfigError: item updates that do not suit the loss, or a device that is not there.
    """
    items, training = len(split.vocabulary), config.training
    device = make_device(training)
    loss, counts = build_loss(config, split.vocabulary.counts), split.vocabulary.counts
    backbone: Any = config.backbone
    length = min(backbone.max_length, int(split.train_length.max(initial=1)))
    masked = BACKBONES.get(backbone.name).cls.uses_mask_token
    targets = length if masked else training.targets_of(length)
    views = 1 if config.objective.name == "none" else 3  # a contrastive objective encodes two more
    filtered = config.filters.min_item_interactions >= MIN_INTERACTIONS
    frequent = 0 if filtered else int((counts[1:] >= MIN_INTERACTIONS).sum())
    corrects, taught = config.fusion.site == "items", bool(config.distillation.teacher)
    sparse = uses_sparse_updates(training, loss, items, taught=taught)
    negatives = getattr(loss, "negatives", 1)
    copies = DROPPED * (backbone.item_dropout > 0) + UNIT * (backbone.similarity == "cosine")
    return TrainingMemory(
        items=items,
        hidden=backbone.hidden,
        blocks=getattr(backbone, "blocks", 1),
        batch_size=training.batch_size,
        positions=training.samples_of_a_batch * length * views,
        targets=training.samples_of_a_batch * targets,
        negatives=negatives if isinstance(loss, SampledLoss) else None,
        shared_negatives=getattr(config.loss, "shared", False),
        chunk=getattr(loss, "chunk", training.samples_of_a_batch * length),
        sparse=sparse,
        can_be_sparse=training.weight_decay == 0,
        frequent_items=frequent,
        device=device,
        by_lookup=sparse or (corrects and isinstance(loss, SampledLoss) and not taught),
        looks_up_once=device.type == "cpu" and training.precision == "32" and 1 + negatives > ONE_BY_ONE,
        item_copies=copies + CORRECTED * max(1, len(config.tokens.tables)) * corrects,
    )
