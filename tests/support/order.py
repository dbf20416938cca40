"""In which order the files of tests are given to several workers, so that all of them end at about the same time."""

from __future__ import annotations

from collections import Counter

import pytest

SLOW, OTHER = 5.0, 0.05
"""Seconds that a test takes about: one that is marked slow, and any other."""


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests, those of a file together and as they were, with the files that take longest at the front."""
    seconds: Counter[str] = Counter()
    for item in items:
        seconds[_file(item)] += SLOW if "slow" in item.keywords else OTHER
    return sorted(items, key=lambda item: (-seconds[_file(item)], _file(item)))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
