"""What is exported: one graph from codes to the best items, of a network or of a blend of networks.

    histories [B, L], lengths [B], excluded [B, E]  ->  items [B, k], scores [B, k]

A graph is traced once and holds for every batch. It reads a window, right-aligned, with padding in front that changes
no score: as long as the longest history of the batch; or always as wide as the network can read, where a trace of the
backbone does not hold for all lengths, or torch cannot trace a size that follows from the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import BLEND, BlendModel, Model, NeuralModel

SIZES_FROM_DATA = (2, 13)
"""Version of torch from which on a graph's sizes may follow from its inputs."""
INPUTS, OUTPUTS = ("histories", "lengths", "excluded"), ("items", "scores")


class NetworkGraph(nn.Module):
    """A network as its weights are now: what depends on no history is computed here, and the graph holds the result.

    Args:
        model: the network, which stays as it is.

    Attributes:
        window: codes of a history that it reads, at most.
        fixed: whether every history is padded to so many, and not to the longest one of its batch.
    """

    def __init__(self, model: NeuralModel) -> None:
        super().__init__()
        self.model = deepcopy(model).cpu().eval()
        self.window = model.backbone.max_length - int(model.mask_token is not None)
        able = model.backbone.traced_for_all_lengths and torch_version() >= SIZES_FROM_DATA
        self.fixed = not able or self.window < 2
        with torch.no_grad():
            self.prepared = self.model.prepare()

    def forward(self, histories: Tensor, lengths: Tensor) -> Tensor:  # [B, L], [B] -> [B, I + 1]
        """Return the scores of all codes; that of padding, 0, means nothing."""
        width = self.window if self.fixed else self._longest(lengths)
        at = torch.arange(-width, 0) + lengths.unsqueeze(1)                      # [B, W], negative before the first
        read = histories.gather(1, at.clamp(min=0))                              # [B, W]
        hidden = self.model.user_embedding(torch.where(at >= 0, read, 0), self.prepared)     # [B, D]
        return hidden @ self.model.scoring_matrix(self.prepared).T

    def _longest(self, lengths: Tensor) -> int:
        """Return the width of the window: the longest length, but at least 2, since a trace takes 1 for a constant."""
        width: Any = lengths.max().clamp(2, self.window).item()
        torch._check(width >= 2)  # type: ignore[no-untyped-call]
        torch._check(width <= self.window)  # type: ignore[no-untyped-call]
        return width


class ExportGraph(nn.Module):
    """The whole way from codes to the best items.

    Args:
        networks: one, whose scores are the items'; or several, whose weighted mean probabilities are.
        weights: one for every network, summing to one.
        counts: how often training has each code, `[I + 1]`: scores of the items where a history is empty.
        k: items in a list, at most I.
    """

    counts: Tensor

    def __init__(self, networks: Sequence[NeuralModel], weights: Sequence[float], counts: Tensor, k: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(NetworkGraph(network) for network in networks)
        self.weights, self.k = tuple(weights), k
        self.register_buffer("counts", counts.float())

    @property
    def fixed(self) -> bool:
        """Whether some network pads every history to its whole window."""
        return any(network.fixed for network in self.networks)

    @property
    def window(self) -> int:
        """Codes of a history that are read, at most: by the network that reads most."""
        return max(int(network.window) for network in self.networks)  # type: ignore[arg-type]

    def forward(self, histories: Tensor, lengths: Tensor, excluded: Tensor) -> tuple[Tensor, Tensor]:
        """Return the k best items that are not excluded, best first, and their scores.

        Args:
            histories: int64 `[B, L]`, codes 1 to I, oldest first from column 0 on; what stands behind a history's end
                is not read.
            lengths: int64 `[B]`, how many codes each history has; 0 for the items that training has most often.
            excluded: int64 `[B, E]`, codes that are no candidates; 0 excludes nothing.

        Returns:
            Codes int64 `[B, k]`, 0 where there are fewer candidates, and scores float32 `[B, k]`, minus infinity there.
        """
        empty = (lengths == 0).unsqueeze(1)                                      # [B, 1]
        scores = torch.where(empty, self.counts, self.scores(histories, lengths))   # [B, I + 1]
        nothing = torch.zeros_like(lengths).unsqueeze(1)                         # [B, 1], padding is no candidate
        scores = scores.scatter(1, torch.cat([excluded, nothing], dim=1), -torch.inf)
        best, codes = scores.topk(self.k, dim=1)                                 # [B, k]
        return torch.where(best > -torch.inf, codes, 0), best

    def scores(self, histories: Tensor, lengths: Tensor) -> Tensor:  # [B, L], [B] -> [B, I + 1]
        """Return the network's scores, or the mean probabilities of several."""
        found = [network(histories, lengths) for network in self.networks]
        if len(found) == 1:
            return found[0]
        mean = sum(weight * scores[:, 1:].softmax(1) for weight, scores in zip(self.weights, found, strict=True))
        return nn.functional.pad(torch.as_tensor(mean), (1, 0))


def torch_version() -> tuple[int, ...]:
    """Return the first two numbers of torch's version, of a pre-release too."""
    return tuple(int(part) for part in torch.__version__.split(".")[:2])


def graph_of(fitted: FittedModel, k: int) -> ExportGraph:
    """Return the graph of a fitted model.

    Args:
        fitted: the model and its vocabulary.
        k: items in a list; as many as there are may be fewer.

    Raises:
        ConfigError: it is the published arithmetic, a baseline, or a blend with one of these.
    """
    networks, weights = networks_of(fitted)
    counts = torch.as_tensor(fitted.split.vocabulary.counts)
    return ExportGraph(networks, weights, counts, min(k, len(counts) - 1))


def networks_of(fitted: FittedModel) -> tuple[list[NeuralModel], list[float]]:
    """Return the networks of a fitted model that count, with their weights.

    Raises:
        ConfigError: as `graph_of`.
    """
    title, model = fitted.config.title, fitted.model
    if fitted.config.depends_on_batch:
        raise ConfigError(
            f"'{title}' is the published arithmetic, whose scores depend on chance and on the histories beside them: "
            "no graph gives them. Export a run of preset 'default': mltfr fit FILE --preset default --out RUN"
        )
    members: Sequence[Model] = model.members if isinstance(model, BlendModel) else [model]
    weights = model.weights.tolist() if isinstance(model, BlendModel) else [1.0]
    networks: list[NeuralModel] = []
    for number, (member, weight) in enumerate(zip(members, weights, strict=True)):
        if isinstance(member, NeuralModel):
            networks += [member] if weight else []
        elif weight and isinstance(model, BlendModel):
            name = fitted.facts[BLEND]["members"][number]["run"]
            raise ConfigError(
                f"'{title}' blends networks with '{name}', which is none and has no graph. Export one of its networks, "
                "or a blend of networks alone: mltfr blend RUN RUN --out BLEND"
            )
        elif weight:
            raise ConfigError(
                f"'{title}' is a baseline: it is no network and has no graph. Use it by mltfr serve or mltfr "
                "recommend, or export a network: mltfr fit FILE --backbone sasrec --out RUN"
            )
    return networks, [weight for weight in weights if weight]
