"""What takes a while to import is imported on use: what baselines need, and all of `scipy.stats`."""

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
import mltfr.recommender, mltfr.study.job
assert "scipy.stats" not in sys.modules
"""


@pytest.mark.slow
def test_parts_are_imported_on_use():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)
