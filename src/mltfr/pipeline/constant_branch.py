"""The constant branch: a fitted network whose fusion says the same to everybody, the mean of what it has to say.

If it scores as well as the network itself, nothing that the fusion tells of a history, and so nothing in its tables,
matters for the scores.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mltfr.fusion import Fusion, FusionInputs
from mltfr.fusion.constant import ConstantConfig, ConstantFusion
from mltfr.interactions import Histories, evenly_spaced
from mltfr.interactions.collate import pad_right_aligned
from mltfr.pipeline.models import BlendModel, Model, NeuralModel

HISTORIES, AT_ONCE = 2048, 256
"""Training histories that the mean is taken over, at all their positions, and those of one batch."""


class MeanDelta(Fusion):
    """A fusion as it is, which adds up what it returns.

    Args:
        fusion: the fusion.
        hidden: hidden width D.
    """

    def __init__(self, fusion: Fusion, hidden: int) -> None:
        super().__init__()
        self.fusion = fusion
        self.reads_items, self.reads_item_vectors = fusion.reads_items, fusion.reads_item_vectors
        self.total, self.count = torch.zeros(hidden, dtype=torch.float64), 0

    def prepare(self) -> Any:
        """Return what the fusion prepares."""
        return self.fusion.prepare()

    def forward(self, x: Tensor, mask: Tensor, *more: Any) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return its `delta`, and add it up where there is something to correct."""
        delta: Tensor = self.fusion(x, mask, *more)
        there = delta[mask | (x != 0).any(-1)]                                  # [P, D]
        self.total += there.sum(0, dtype=torch.float32).double().cpu()
        self.count += len(there)
        return delta

    def mean(self) -> Tensor:
        """Return the mean so far, `[D]`."""
        return (self.total / max(self.count, 1)).float()


def constant_branch(model: Model, histories: Histories) -> Model | None:
    """Return a fitted model with constants in place of its fusions' corrections; None where they say nothing as it is.

    Args:
        model: a network, a blend of some, or a baseline.
        histories: the training histories.
    """
    if isinstance(model, BlendModel):
        members = [constant_branch(member, histories) for member in model.members]
        if all(member is None for member in members):
            return None
        pairs = zip(members, model.members, strict=True)
        return BlendModel([old if new is None else new for new, old in pairs], model.weights)
    if not isinstance(model, NeuralModel) or model.fusion is None or isinstance(model.fusion, ConstantFusion):
        return None
    return with_constant_delta(model, histories)


def with_constant_delta(model: NeuralModel, histories: Histories) -> NeuralModel:
    """Return a model that shares all of another one's weights and adds its mean `delta` in place of `delta`.

    Args:
        model: a fitted network with a fusion, in evaluation mode.
        histories: training histories; the mean is taken over `HISTORIES` of them, evenly spaced.
    """
    fusion = model.fusion
    if fusion is None:
        raise ValueError("The model has no fusion, so there is no delta to take the mean of.")
    device, hidden = model.item_embedding.weight.device, model.backbone.hidden
    listening = MeanDelta(fusion, hidden).eval()
    heard = model.with_fusion(listening)
    room = model.backbone.max_length - int(model.mask_token is not None)
    chosen = [histories[row] for row in evenly_spaced(len(histories), HISTORIES)]
    with torch.inference_mode():
        for start in range(0, len(chosen), AT_ONCE):
            batch = torch.from_numpy(pad_right_aligned(chosen[start : start + AT_ONCE], room)).to(device)  # [B, L]
            if model.mask_token is not None:
                batch = torch.cat([batch, batch.new_full((len(batch), 1), model.mask_token)], dim=1)
            heard.encode(batch)
    with torch.inference_mode(False):
        constant = ConstantFusion(ConstantConfig(), FusionInputs(hidden, model.backbone.is_causal)).to(device).eval()
        with torch.no_grad():
            constant.output.copy_(listening.mean())
    return model.with_fusion(constant)
