"""A blend with new items: those count a factor more, and everything else is as it was."""

from __future__ import annotations

import numpy as np
import torch

from mltfr.baselines.popularity import Popularity
from mltfr.inference import BlendScorer
from mltfr.inference.new_items_blend import NewItemsBlend

HISTORIES = [np.array([1, 2], np.int32), np.array([3], np.int32)]
MEMBERS = [Popularity.of_counts(np.array(counts)) for counts in ([0, 5, 1, 2, 2], [0, 1, 1, 6, 2])]


def test_new_items_count_a_factor_more() -> None:
    plain, found = BlendScorer(MEMBERS, [0.3, 0.7]), NewItemsBlend(MEMBERS, [0.3, 0.7], 2, 4.0)
    before, after = (each.scores(each.queries(HISTORIES), 1, 5) for each in (plain, found))
    wanted = before * torch.tensor([1, 1, 4, 4])
    torch.testing.assert_close(after, wanted / wanted.sum(1, keepdim=True))
    torch.testing.assert_close(found.scores(found.queries(HISTORIES), 3, 4), after[:, 2:3])


def test_a_factor_of_one_is_the_blend() -> None:
    plain, found = BlendScorer(MEMBERS, [0.3, 0.7]), NewItemsBlend(MEMBERS, [0.3, 0.7], 2, 1.0)
    torch.testing.assert_close(*(each.scores(each.queries(HISTORIES), 1, 5) for each in (plain, found)))
