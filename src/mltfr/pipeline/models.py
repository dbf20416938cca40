"""The interface that networks, baselines and blends share once they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mltfr.baselines.name_knn import NameKNN
from mltfr.errors import ConfigError
from mltfr.inference import BlendScorer, ModelScorer, ProbabilityScorer
from mltfr.inference.new_items_blend import NewItemsBlend
from mltfr.model import SequentialModel
from mltfr.prefixes import under_prefix, with_prefix

BLEND, WEIGHTS = "blend", "blend.weights"
"""Names of a blend's tensors: those of member n begin with `blend.n.`."""
REFIT = "refit"
"""Field of the manifest of what was fitted anew to all of its log."""


class Model(Protocol):
    """A fitted model: a network, a baseline or a blend."""

    def state_dict(self) -> Any:
        """Return its tensors by name: all that is kept of it, beside the settings."""

    def scorer(self) -> ProbabilityScorer:
        """Return what scores items for histories, with the weights as they are."""

    def zero_branch(self) -> ProbabilityScorer | None:
        """Return what scores items with the fusion's `delta = 0`; None where there can be no fusion."""

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the similarity of some items to all items, float32 `[N, I]`; minus infinity for none.

        Args:
            codes: item codes, int64 `[N]`.

        Raises:
            ConfigError: the model has no similarity of items.
        """


class NeuralModel(SequentialModel):
    """A sequential model as a run fits it."""

    _held: tuple[int, Tensor] | None = None

    def scorer(self) -> ModelScorer:
        """Return a scorer on the device of the weights."""
        return ModelScorer(self, self.item_embedding.weight.device)

    def zero_branch(self) -> ModelScorer:
        """Return a scorer that leaves the fusion out."""
        return ModelScorer(self, self.item_embedding.weight.device, fused=False)

    def trained_vectors(self) -> Tensor:
        """Return the item vectors `[I, D]` without what a fusion adds to them; the bias behind them where it is."""
        with torch.no_grad():
            vectors = self.item_vectors(whole=True, fused=False).all()[1 : self.items + 1].detach()  # [I, D]
            return vectors if self.item_bias is None else torch.cat([vectors, self.item_bias[1:, None]], dim=1)

    def with_items(self, vectors: Tensor) -> Self:
        """Return the model with further items behind its own; backbone and fusion are the same modules.

        Args:
            vectors: `[N, D]`, as `trained_vectors`.
        """
        model = deepcopy(self, {id(part): part for part in (self.backbone, self.fusion)})
        weight, vectors = self.item_embedding.weight.detach(), vectors.to(self.item_embedding.weight)
        behind, hidden = self.items + 1, weight.shape[1]  # a mask token and a hidden item stay the last ones
        rows = torch.cat([weight[:behind], vectors[:, :hidden], weight[behind:]])
        model.items += len(vectors)
        model.item_embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            rows, freeze=False, padding_idx=0
        )
        if self.mask_token is not None:
            model.mask_token = model.items + 1
        if self.item_bias is not None:
            model.item_bias = nn.Parameter(torch.cat([self.item_bias.detach(), vectors[:, hidden]]))
        if self.names is not None and model.names is not None:  # what the vectors hold already is not added to them
            own = self.names.names
            model.names.names = torch.cat([own[:behind], own.new_zeros(len(vectors), own.shape[1]), own[behind:]])
        return model.eval()

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the cosines of the item vectors, `[N, I]`."""
        vectors = self._unit_vectors()                                   # [I, D]
        return vectors[codes.to(vectors.device) - 1] @ vectors.T         # [N, I]

    def _unit_vectors(self) -> Tensor:  # -> [I, D]
        """Return item vectors of norm 1; those that a fusion corrects are kept until a weight changes."""
        version = sum(tensor._version for tensor in (*self.parameters(), *self.buffers()))
        held = self._held
        if held is not None and held[0] == version:
            return held[1]
        with torch.no_grad():
            vectors = normalize(self.item_vectors(whole=True).all()[1 : self.items + 1], dim=-1)
        self._held = (version, vectors) if self.corrects_items else None
        return vectors


class BlendModel:
    """Fitted models whose mean probabilities are the score, see `BlendScorer`; a blend of one is that model.

    Args:
        members: the models, none of them a blend.
        weights: float64 `[M]`, summing to one.
    """

    def __init__(self, members: Sequence[Model], weights: Tensor) -> None:
        if len(members) != len(weights):
            raise ValueError(f"{len(members)} members with {len(weights)} weights")
        self.members = tuple(members)
        self.weights = weights

    def with_members(self, members: Sequence[Model]) -> BlendModel:
        """Return the same blend of other models, one in the place of each."""
        other = copy(self)
        other.members = tuple(members)
        return other

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], restore: Callable[[int, dict[str, Tensor]], Model]) -> Self:
        """Return the blend that `state_dict` took apart.

        Args:
            state: its tensors.
            restore: returns the member of a number and its tensors.

        Raises:
            KeyError, ValueError, RuntimeError: the tensors are of something else.
        """
        weights = state[WEIGHTS]
        return cls([restore(n, under_prefix(f"{BLEND}.{n}", state)) for n in range(len(weights))], weights)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors of all members, and the weights."""
        state = {WEIGHTS: self.weights}
        for number, member in enumerate(self.members):
            state |= with_prefix(f"{BLEND}.{number}", member.state_dict())
        return state

    def scorer(self) -> ProbabilityScorer:
        """Return a scorer by the mean of the members' probabilities; the member's own where there is one."""
        return self._blend([member.scorer() for member in self.members])

    def zero_branch(self) -> ProbabilityScorer | None:
        """Return a scorer that leaves every member's fusion out; None where none of them can have one."""
        without = [member.zero_branch() for member in self.members]
        if all(scorer is None for scorer in without):
            return None
        return self._blend([own or member.scorer() for own, member in zip(without, self.members, strict=True)])

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the mean of its members' cosines, by their weights, `[N, I]`; one member's own similarity.

        Networks have cosines, of item vectors, and names have, of their words.

        Raises:
            ConfigError: several members, none of them a network that has a weight.
        """
        if len(self.members) == 1:
            return self.members[0].item_similarity(codes)
        networks = [
            (member, weight)
            for member, weight in zip(self.members, self.weights.tolist(), strict=True)
            if isinstance(member, NeuralModel | NameKNN) and weight > 0
        ]
        if not networks:
            raise ConfigError(
                "No network has a weight in this blend, and weights of baselines have no common scale, so the blend "
                "has no similarity of items. Ask one of the runs that it was made from."
            )
        total = sum(weight for _, weight in networks)
        cosines = [_cosines(member, codes) * (weight / total) for member, weight in networks]
        return torch.stack(cosines).sum(0)

    def _blend(self, scorers: Sequence[ProbabilityScorer]) -> ProbabilityScorer:
        return scorers[0] if len(scorers) == 1 else BlendScorer(scorers, self.weights.tolist())


def _cosines(member: NeuralModel | NameKNN, codes: Tensor) -> Tensor:
    return member.similarity(codes) if isinstance(member, NameKNN) else member.item_similarity(codes).cpu()


class NewItemsModel(BlendModel):
    """A network with new items behind its own, and the words of all of them: see `NewItemsBlend`.

    Args:
        network: with the new items.
        words: the words of as many.
        weight: that of the words; the network has the rest.
        known: how many items training knows.
        factor: what scores of new items are multiplied with.
    """

    def __init__(self, network: NeuralModel, words: NameKNN, weight: float, known: int, factor: float) -> None:
        super().__init__([network, words], torch.tensor([1 - weight, weight], dtype=torch.float64))
        self.known, self.factor = known, factor

    def item_similarity(self, codes: Tensor) -> Tensor:
        """Return the cosines of words, `[N, I]`: predicted vectors are like each other, whatever they are of."""
        return self.members[1].item_similarity(codes)

    def _blend(self, scorers: Sequence[ProbabilityScorer]) -> ProbabilityScorer:
        return NewItemsBlend(scorers, self.weights.tolist(), self.known, self.factor)
