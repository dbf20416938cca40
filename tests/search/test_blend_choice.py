"""The greedy choice of a blend's members."""

from __future__ import annotations

import numpy as np

from mltfr.search.blends import MEMBERS, greedy


def test_a_member_that_knows_other_targets_is_added_and_a_copy_is_not():
    random = np.random.default_rng(0)
    knows = random.random(400) < 0.5
    first = np.where(knows, 0.5, 0.01)
    other = np.where(knows, 0.01, 0.5)
    assert greedy(np.stack([first, first, other], axis=1)) == [0, 2]


def test_at_most_five():
    places = np.arange(800) % 8
    probabilities = np.stack([np.where(places == member, 0.9, 0.001) for member in range(8)], axis=1)
    assert len(greedy(probabilities)) == MEMBERS == 5


def test_noise_is_not_added():
    random = np.random.default_rng(1)
    good = random.uniform(0.2, 0.6, 300)
    assert greedy(np.stack([good, random.uniform(0, 0.01, 300)], axis=1)) == [0]
