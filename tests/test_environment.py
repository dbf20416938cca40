"""The tests do not depend on the variables of whoever runs them."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest


def test_variables_of_the_user_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLTFR_OFFLINE", "MLTFR_PLUGINS", "RANK", "RAY_ADDRESS", "COLUMNS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MLTFR_NETWORK_TESTS", "0")
    runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    assert {name for name in os.environ if name.startswith("MLTFR_")} <= {"MLTFR_NETWORK_TESTS", "MLTFR_TEST_DAMAGES"}
    assert not {"RANK", "RAY_ADDRESS", "COLUMNS"} & set(os.environ)
