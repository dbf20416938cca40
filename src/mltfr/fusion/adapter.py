"""Item vectors of the user's own, adapted: what token tables are compared with where items do have texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.fusion.adaptors import LinearAdaptor, MlpAdaptor, MoeAdaptor
from mltfr.fusion.base import Fusion, FusionConfig, FusionInputs, register_fusion
from mltfr.fusion.init import Seeded
from mltfr.fusion.packing import corrected_positions, pack, unpack
from mltfr.fusion.whitening import map_onto, whiten

OTHERS = 0.01
"""Share of the vectors of a fit, by length, by which those of the same items may differ where training goes on."""
NO_VECTORS = "it reads item vectors, but none are named. Give a Parquet or safetensors file with --item-vectors FILE"


class AdapterConfig(FusionConfig):
    """Settings of adapted item vectors."""

    name: Literal["adapter"] = "adapter"
    kind: Literal["linear", "whitening", "moe"] = "linear"
    """A Linear; whitening and then an MLP (WhitenRec); a mixture of parametric whitening experts (UniSRec)."""
    vectors: str = ""
    """Parquet or safetensors file with one vector for every item id; `--item-vectors FILE` sets it."""
    missing: Literal["error", "zero"] = "error"
    """What happens where an item has no vector: an error, or zeros, and then no correction."""
    whitening: Literal["zca", "pca"] = "zca"
    """How kind `whitening` whitens."""
    experts: int = Field(8, ge=1)
    """Experts of kind `moe` (G)."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Dropout on what goes into the experts of kind `moe`."""

    @model_validator(mode="after")
    def _has_vectors(self) -> Self:
        if not self.vectors:
            raise ValueError(NO_VECTORS)
        return self


@register_fusion("adapter", AdapterConfig)
class AdapterFusion(Fusion):
    """Item vectors that the user supplies, adapted: linear, whitening (WhitenRec) or MoE (UniSRec).

    `delta` at a position is the adapted vector of the item there; zero at padding, at mask tokens, and at
    items without a vector. The vectors are frozen and in the state, on a scale where their mean square is 1.

    Args:
        config: settings.
        inputs: D, the item vectors and the seed.

    Raises:
        ConfigError: there are no item vectors.
    """

    corrects_items = True
    needs_tables = False
    reads_items = True
    vectors: Tensor
    there: Tensor

    def __init__(self, config: AdapterConfig, inputs: FusionInputs) -> None:
        super().__init__()
        if inputs.item_vectors is None:
            raise ConfigError(f"fusion 'adapter': {NO_VECTORS}.")
        vectors = inputs.item_vectors.float()                                   # [I + 1, W]
        there = (vectors != 0).any(1)                                           # [I + 1]
        self.whitened = config.kind == "whitening"
        if self.whitened:
            vectors = whiten(vectors, there, config.whitening)
        square = vectors[there].square().mean() if there.any() else vectors.new_ones(())
        self.register_buffer("vectors", vectors / square.clamp(min=1e-30).sqrt())
        self.register_buffer("there", there)
        width, hidden = vectors.shape[1], inputs.hidden
        with Seeded(inputs.seed):
            adaptor: nn.Module
            if config.kind == "moe":
                adaptor = MoeAdaptor(width, hidden, config.experts, config.dropout)
            else:
                adaptor = (LinearAdaptor if config.kind == "linear" else MlpAdaptor)(width, hidden)
        self.adaptor = adaptor

    def continue_from(self, state: Mapping[str, Tensor]) -> None:
        """Put the vectors onto the axes and the scale of fewer items, by which a fitted adaptor knows them.

        Raises:
            ConfigError: those of the fit were others.
        """
        before = state["vectors"].to(self.vectors)                              # [I' + 1, W]
        known = self.there[: len(before)] & state["there"].to(self.there)       # [I' + 1]
        same = before.shape[1] == self.vectors.shape[1]
        if same:
            vectors = map_onto(self.vectors, before, known, affine=self.whitened)
            wrong = (vectors[: len(before)] - before)[known]
            same = bool(wrong.norm() <= OTHERS * before[known].norm())
        if not same:
            raise ConfigError(
                "fusion 'adapter': the file of item vectors does not hold the vectors that the run was fitted with, so "
                "that training cannot go on. Give the former file, with new items added, fit anew, or update without "
                "epochs."
            )
        self.vectors.copy_(vectors * self.there.unsqueeze(1))

    def forward(self, x: Tensor, mask: Tensor, items: Tensor | None = None) -> Tensor:
        """Return `delta` `[B, L, D]`.

        Args:
            x: the stack's input `[B, L, D]`.
            mask: the observed positions `[B, L]`.
            items: their codes `[B, L]`, 0 elsewhere.

        Raises:
            ValueError: no codes are given.
        """
        if items is None:
            raise ValueError("An adapter reads the item codes; give them as the third argument.")
        positions = corrected_positions(x, mask, is_causal=True)  # at a mask token there is no item
        codes = pack(items, positions)                                           # [P]
        delta = self.adaptor(self.vectors[codes]) * self.there[codes].unsqueeze(-1)     # [P, D]
        return unpack(delta.to(x.dtype), positions, mask.shape)
