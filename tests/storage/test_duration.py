from __future__ import annotations

import pytest

from mltfr.storage.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.123, "0.12 s"), (12.3, "12 s"), (150, "2 minutes"), (3600, "60 minutes"), (16200, "4.5 hours")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
