"""The short form of the soak: some cases of every section, in one process that forks the others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = {"kills": 4, "disks": 16, "clock": 5, "writers": 4, "damage": 6, "logs": 11, "tables": 7, "settings": 3,
            "requests": 4}  # fmt: skip
"""The sections, and how many kinds each tries at least."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Run the soak at a hundredth of its size."""
    out = tmp_path_factory.mktemp("soak") / "soak.json"
    options = ["--scale", "0.01", "--out", str(out), "--only", *SECTIONS]
    command = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert out.is_file(), done.stderr
    return list(json.loads(out.read_text())["rows"])


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_goes_wrong(found: list[dict[str, Any]], section: str) -> None:
    rows = [row for row in found if row["section"] == section]
    assert [wrong for row in rows for wrong in row["wrong"]] == []
    assert len(rows) >= SECTIONS[section]
    assert all(row["tried"] == sum(row["outcomes"].values()) > 0 for row in rows)
