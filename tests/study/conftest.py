"""A report that is quickly written, for tests of what comes before it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mltfr.report  # noqa: F401  # the package itself is not replaced


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace the report by one that notes how it was called."""
    calls: list[dict[str, Any]] = []

    def write_report(
        folder: Path, title: str, metrics: Sequence[str], compare_with: str, test: str, notes: Sequence[str], *_: Any
    ) -> list[Path]:
        calls.append({"title": title, "metrics": metrics, "compare_with": compare_with, "test": test, "notes": notes})
        (folder / "summary.md").write_text(f"# {title}\n")
        return [folder / "summary.md"]

    module = ModuleType("mltfr.report.write")
    module.write_report = write_report  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mltfr.report.write", module)
    return calls
