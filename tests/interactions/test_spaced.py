"""Some of many, evenly spaced."""

from __future__ import annotations

import numpy as np
import pytest

from mltfr.interactions import evenly_spaced


@pytest.mark.parametrize("count", [1, 2, 7, 2048, 2049, 4095, 6143, 22363])
@pytest.mark.parametrize("most", [2, 7, 512, 2048])
def test_they_reach_from_the_first_to_the_last(count: int, most: int) -> None:
    """Twice too few for a whole step leave out nothing at the end, and none stands twice."""
    found = evenly_spaced(count, most)
    assert len(found) == min(count, most)
    assert [found[0], found[-1]] == [0, count - 1]
    steps = np.diff(found)
    assert not len(steps) or 0 < steps.max() <= steps.min() + 1


def test_of_nothing_there_is_nothing() -> None:
    assert evenly_spaced(0, 5).tolist() == []
