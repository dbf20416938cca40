"""Settings of a network do not import what baselines need."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from mltfr.pipeline import resolve
resolve()
assert "mltfr.baselines.ease" not in sys.modules
resolve(backbone="ease")
assert "mltfr.baselines.ease" in sys.modules
"""


@pytest.mark.slow
def test_baselines_are_imported_on_use():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)
