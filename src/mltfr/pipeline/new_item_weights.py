"""How much words count for new items, and what their scores are multiplied with: two numbers, from validation.

Every validation target is asked for twice: as it is, and as if it were new, its own vector replaced by the one that the
other items' names predict. Of the scores ((1 - w) p_network + w p_words) f^[new],

    w, f = argmax 2 a b / (a + b)                          a: NDCG@10 of targets as they are, b: of targets as new

where new items are candidates for both. The harmonic mean of the accuracies on known and on new classes is the measure
of generalised zero-shot learning (Xian et al., "Zero-shot learning: the good, the bad and the ugly", CVPR 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mltfr.baselines.matrices import row_blocks
from mltfr.baselines.name_knn import NameKNN
from mltfr.evaluation import EvaluationProtocol
from mltfr.evaluation.asked import asked_targets
from mltfr.interactions import Split, evenly_spaced
from mltfr.interactions.collate import known_items
from mltfr.pipeline.models import NeuralModel

MOST, LEAST, CELLS = 2048, 256, 30_000_000
"""Validation examples that are looked at, evenly spaced: as many as give so many scores, but no more and no less."""
FIRST = 10
"""How many items count as found."""
WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)
"""Weights of the words that are tried."""
FACTORS = np.geomspace(0.25, 64, 17)
"""Factors that are tried, a half power of two apart."""


@dataclass(frozen=True)
class Weighed:
    """The two numbers, and what they lead to.

    Attributes:
        weight: w of the words.
        factor: f.
        known: a, on validation; None without examples.
        as_new: b; None without examples.
        alone: a of the network where new items are no candidates; None without examples.
    """

    weight: float
    factor: float
    known: float | None = None
    as_new: float | None = None
    alone: float | None = None

    @property
    def harmonic(self) -> float:
        """The harmonic mean of a and b; 0 without examples."""
        return 2 / (1 / self.known + 1 / self.as_new) if self.known and self.as_new else 0.0


def weigh(
    model: NeuralModel, new: Tensor, as_new: Tensor, words: NameKNN, data: Split, protocol: EvaluationProtocol
) -> Weighed:
    """Return how much words count, and the factor of new items; equal weights and one without validation examples.

    Args:
        model: the trained network of I items.
        new: `[N, D]`, the vectors of new items.
        as_new: `[I, D]`, those that known items would have if they were new.
        words: the words of all I + N items.
        data: the split.
        protocol: how validation is asked.
    """
    known, items = model.items, words.items
    asked = asked_targets(data, "validation", protocol)
    histories = asked.histories(data, asked.group)
    at = [n for n, code in enumerate(asked.targets) if code > 0 and words.named[code - 1]]
    at = [n for n in at if not (protocol.remove_seen and asked.targets[n] in histories[n])]
    if not at:
        return Weighed(0.5, 1.0)
    at = [at[n] for n in evenly_spaced(len(at), min(MOST, max(LEAST, CELLS // items)))]
    network = model.with_items(torch.cat([new, as_new])).scorer()

    gains, alone = np.zeros((len(WEIGHTS), 2, len(FACTORS))), 0.0
    with torch.inference_mode():
        for block in row_blocks(len(at), items + known):
            some = [histories[n] for n in at[block]]
            row, target = torch.arange(len(some)), torch.from_numpy(asked.targets[at[block]].astype(np.int64) - 1)
            scores = network.scores(network.queries(some), 1, items + known + 1).cpu()   # [B, I + N + I]
            plain, replaced = scores[:, :items].clone(), scores[:, :items]
            replaced[row, target] = scores[row, items + target]
            plain, replaced = plain.softmax(1), replaced.softmax(1)
            by_words = words.probabilities(words.scores(words.queries(some), 1, items + 1))
            if protocol.remove_seen:
                of, codes = known_items(some)
                for each in (plain, replaced, by_words):
                    each[torch.from_numpy(of), torch.from_numpy(codes.astype(np.int64) - 1)] = 0
            better = plain > plain.gather(1, target[:, None])                        # [B, I + N]
            alone += float(_gains(better[:, :known].sum(1)).sum())
            for (n, weight), (kind, member) in product(enumerate(WEIGHTS), enumerate((plain, replaced))):
                mixed = torch.lerp(member, by_words, weight)
                own = mixed.gather(1, target[:, None])                               # [B, 1]
                mixed.scatter_(1, target[:, None], 0)
                old = mixed[:, :known].topk(min(FIRST, known)).values                # [B, FIRST]
                others = mixed[:, known:].topk(min(FIRST, items - known)).values
                for number, factor in enumerate(FACTORS):
                    score = own * factor if kind else own
                    above = (old > score).sum(1) + (factor * others > score).sum(1)  # [B]
                    gains[n, kind, number] += float(_gains(above).sum())
    of_known, of_new = gains.swapaxes(0, 1) / len(at)                                # [weights, factors] each
    harmonic = 2 * of_known * of_new / np.maximum(of_known + of_new, 1e-12)
    nearest = np.abs(np.log(FACTORS)) + np.abs(np.array(WEIGHTS) - 0.5)[:, None]     # to equal weights and no factor
    best = np.unravel_index(np.argmin(np.where(harmonic < harmonic.max(), np.inf, nearest)), harmonic.shape)
    weight, factor = WEIGHTS[best[0]], float(FACTORS[best[1]])
    return Weighed(weight, factor, float(of_known[best]), float(of_new[best]), alone / len(at))


def _gains(above: Tensor) -> Tensor:
    """Return the NDCG of targets with so many items above them."""
    return torch.where(above < FIRST, 1 / torch.log2(above + 2.0), 0)
