"""What a fusion is: a correction of the hidden states, computed from token tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator
from torch import Tensor, nn

from mltfr.config import ComponentConfig
from mltfr.config.registry import Registry
from mltfr.tokens.controls import Control
from mltfr.tokens.table import PreparedTable

Site: TypeAlias = int | Literal["items"]
"""Where a fusion's `delta` is added: to the output of a block, by its number, or to the item vectors."""


class FusionConfig(ComponentConfig):
    """Settings that every fusion has."""

    site: Annotated[int, Field(ge=-1)] | Literal["items"] = 0
    """Block after which `delta` is added; -1 is the last one, where only positions that are read need a `delta`. Or
    `items`: `delta` is added to the item vectors themselves, of histories and of candidates."""

    @field_validator("site", mode="before")
    @classmethod
    def _block_or_items(cls, value: Any) -> Any:
        if value == "items" or (type(value) is int and value >= -1):
            return value
        raise ValueError(f"expected the number of a block, -1 for the last one, or 'items', got {value!r}")

    @property
    def knows_later_items(self) -> bool:
        """Whether a position's correction may depend on later items although the backbone is causal."""
        return False


@dataclass(frozen=True)
class FusionInputs:
    """What a fusion is built from.

    Attributes:
        hidden: hidden width D of the backbone.
        is_causal: whether position t may use positions up to t only.
        tables: the token tables, prepared as the config says; their order carries no meaning.
        seed: seed of the fusion's own initial values.
        item_vectors: vectors that the user supplies, `[I + 1, W]`, row 0 and items without one zero; None
            unless the fusion reads them.
        dropout: the backbone's.
    """

    hidden: int
    is_causal: bool
    tables: Sequence[PreparedTable] = field(default_factory=tuple)
    seed: int = 0
    item_vectors: Tensor | None = None
    dropout: float = 0.1


class Fusion(nn.Module, ABC):
    """Turns the stack's input into a correction `delta` of the hidden states.

    A fusion sees `(x, mask)` and its own token tables, nothing else: no backbone, no targets, no item ids unless it
    says so with `reads_items`, and no item vectors unless it says so with `reads_item_vectors`.
    """

    needs_tables: bool = True
    """Whether it reads token tables at all."""
    control: Control = "none"
    """What replaces the vectors of its tables, see `mltfr.tokens.controls`. With one, the fusion is a control of the
    class that it extends, and takes that one's settings."""
    reads_items: bool = False
    """Whether `forward` takes the observed item codes `[B, L]`, 0 elsewhere, as a third argument."""
    corrects_items: bool = False
    """Whether `delta` at a position can be made of that position's item alone, so that `site = "items"` has a meaning:
    then `x` is `[1, R, D]`, R item vectors, and `mask` False at what is no item."""
    reads_item_vectors: bool = False
    """Whether `forward` takes the item vectors `[B, L, D]` as a third argument: those that the backbone's input stage
    gets, the same in training and inference, while `x` holds that stage's dropout in training."""
    refresh_histories: int = 0
    """How many training histories `refresh` is to read before an epoch; 0 for none."""
    tables_in_state: bool = True
    """Whether `state_dict` holds all that scoring needs, so that a saved run works without the tables."""
    needs_prefixes: bool = False
    """Whether a position's correction knows later items although the backbone is causal: whole histories, where
    every position predicts the next item, would show it its target. The published arithmetic is left to do so. Where it
    does, `FusionConfig.knows_later_items` says so too, since samples are chosen before it is built."""
    supports_cuda_graph: bool = False
    """Whether a training step with it can be captured as a CUDA graph: it asks the device for no value, and what
    steers it besides tensors that stay in their place is its `graph_key`."""

    @classmethod
    def rounds_of(cls, config: Any) -> int:
        """Return how many training rounds there are with these settings."""
        return 1

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return `delta` `[B, L, D]`.

        Args:
            x: the stack's input `[B, L, D]`, zero at padding.
            mask: bool `[B, L]`, True where the position holds an observed item: False at padding, at a mask
                token, and at an item that an objective hides. Of these, `delta` is needed at mask tokens only.
        """

    def last(self, x: Tensor, mask: Tensor, count: int, *more: Any) -> Tensor:
        """Return `delta` at the last `count` positions only, `[B, count, D]`.

        Override it where the other positions need not be computed for that.

        Args:
            x: `[B, L, D]`, as `forward` gets it.
            mask: `[B, L]`, as `forward` gets it.
            count: number of positions, from the end, at most L.
            more: what `forward` gets besides.
        """
        return self(x, mask, *more)[:, -count:]

    def prepare(self) -> Any:
        """Return what is the same for all histories while weights and shortlists do not change; None for nothing.

        Whoever scores many histories holds it and passes it as the last argument of `forward` and `last`.
        """
        return None

    def refresh(self, histories: Iterable[Sequence[Tensor]], unseen: Iterable[Sequence[Tensor]] = ()) -> None:
        """Choose again what depends on the training users; called before an epoch, without gradient.

        Args:
            histories: batches of `refresh_histories` training histories, each `(x, mask, ...)` as `forward` gets it,
                drawn from the whole log.
            unseen: the same of some histories from which validation predicts; they may be measured on, and decide
                nothing.
        """

    def continue_from(self, state: Mapping[str, Tensor]) -> None:
        """Bring what a new fusion holds of every item into the coordinates of a fitted one, before its weights come.

        Args:
            state: `state_dict` of the fitted fusion, whose items are the first ones here. Its rows are loaded then;
                those of further items stay as they are set here.

        Raises:
            ConfigError: the two cannot be brought together.
        """

    def set_progress(self, steps: int) -> None:
        """Say how many optimisation steps of the round are done; anneals what has to be annealed."""

    def graph_key(self) -> Hashable:
        """Return what steers a training step besides tensors: a graph captured under another key is not replayed."""
        return None

    def diagnostics(self) -> Mapping[str, float | Mapping[str, float]]:
        """Return what is worth logging since the last call: router shares, filter entropy, ..."""
        return {}

    def report(self) -> Mapping[str, Any]:
        """Return what a run's manifest should say of how it was built: words that were found, coverage, ..."""
        return {}


class TwoRoundFusion(Fusion):
    """A fusion whose experts of round 1 are merged into a frozen consensus expert for round 2."""

    rounds: int = 2
    """Training rounds, `rounds_of` its settings."""
    fisher_estimator: Literal["per-example", "batch"] = "per-example"
    """How Fisher information is estimated between the rounds."""

    @classmethod
    def rounds_of(cls, config: Any) -> int:
        """Return 2; a subclass whose consensus expert can be left out returns 1 where it is."""
        return 2

    @abstractmethod
    def fisher_parameters(self) -> Mapping[str, nn.Parameter]:
        """Return the parameters whose Fisher information the merge needs, named as in `state_dict`."""

    @abstractmethod
    def merge_experts(self, fisher: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the consensus expert's tensors from the experts and their Fisher information.

        Args:
            fisher: one tensor per entry of `fisher_parameters`, of the same shape.
        """

    @abstractmethod
    def add_consensus(self, tensors: Mapping[str, Tensor]) -> None:
        """Add the frozen consensus expert, its tensors being what `merge_experts` returned.

        Afterwards they stand in `state_dict` under `consensus.` + the same names, and are no parameters that train.
        Called on the fusion of round 2, and when a run of round 2 is loaded.
        """


FUSIONS: Registry[Fusion, FusionConfig] = Registry("fusion", "mltfr.fusion")
register_fusion = FUSIONS.register
