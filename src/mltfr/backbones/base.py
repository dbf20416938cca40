"""The seam between a backbone and everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mltfr.config import ComponentConfig
from mltfr.config.registry import Registry


class BackboneConfig(ComponentConfig):
    """Settings that every backbone has."""

    hidden: int = Field(64, ge=1)
    """Hidden width (D), also the width of the item vectors."""
    max_length: int = Field(50, ge=1)
    """Most recent interactions of a history that are read (L)."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the input and inside the blocks."""
    item_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the item vectors themselves: one mask over all of them a step, for histories and candidates alike."""
    similarity: Literal["dot", "cosine"] = "dot"
    """What scores an item: the inner product of hidden state and item vector, or their cosine over `temperature`."""
    temperature: float = Field(0.05, gt=0)
    """What a cosine is divided by to be a score (tau); inner products are not."""


class Backbone(nn.Module, ABC):
    """A sequence encoder, seen as a stack: `encode_input`, then every block of `blocks`, then `project_output`.

    Batches are right-aligned: padding comes first, and a batch may be shorter than `max_length`.
    A backbone must give the same result for a history whatever padding stands before it.
    It knows nothing of fusions, losses or data.
    """

    is_causal: ClassVar[bool]
    """Whether no position sees a later one; decides how it is trained and how a fusion may look back."""
    uses_mask_token: ClassVar[bool] = False
    """Whether it is trained by masking items and read at an appended mask token (BERT4Rec)."""
    uses_item_bias: bool = False
    """Whether an item's score has a learned bias of its own; a setting may decide it."""
    traced_for_all_lengths: ClassVar[bool] = False
    """Whether one trace of it holds for histories of all lengths, so that an exported graph need not pad them: nothing
    is decided by the length, no loop runs over it, and no matrix of one size is cut to it."""
    objective: ClassVar[str] = "none"
    """Name of the training objective that its paper adds; taken where the config names none."""

    blocks: nn.ModuleList
    """The stack. `block(x, context)` returns `[B, L, D]`; the last one is also asked for its output at the last
    positions only, `block(x, context, last)`, `[B, last, D]`, and need not compute the others."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.hidden = config.hidden
        self.max_length = config.max_length
        self.item_dropout = config.item_dropout
        self.temperature = config.temperature if config.similarity == "cosine" else None
        """What cosines are divided by; None where scores are inner products."""

    @abstractmethod
    def encode_input(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
        """Turn item vectors into the stack's input.

        Args:
            items: item vectors `[B, L, D]`, zero at padding.
            mask: bool `[B, L]`, True where there is an item (or a mask token).

        Returns:
            The stack's input `x` `[B, L, D]`, zero at padding, and whatever the blocks need besides.
        """

    @abstractmethod
    def project_output(self, x: Tensor, mask: Tensor) -> Tensor:
        """Turn the stack's output `[B, L, D]` into what is compared with item vectors, `[B, L, D]`."""

    def reset_item_embedding(self, weight: Tensor) -> None:
        """Initialise the item vectors `[rows, D]` in place, as the backbone's paper does."""
        nn.init.normal_(weight, std=0.02)


BACKBONES: Registry[Backbone, BackboneConfig] = Registry("backbone", "mltfr.backbones")
register_backbone = BACKBONES.register
