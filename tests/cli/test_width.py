"""In a terminal of 80 columns no line is longer, and no name is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.cli import doctor as doctor_module
from mltfr.tokens.catalogue import CATALOGUE
from support.command_line import run


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.command_line.COLUMNS", "80")


def test_tables_fit(store: Path, finished: Path) -> None:
    listed = run("tokens", "list", home=store).stdout
    shown = run("tokens", "show", "alpha", home=store).stdout
    described = run("data", "describe", finished / "log.csv", home=store).stdout
    scores = run("evaluate", finished / "run", home=store).stdout
    report = run("doctor", home=store).stdout
    for text in (listed, shown, described, scores, report):
        assert max(map(len, text.splitlines())) <= 80, text
    for word in (*CATALOGUE, "alpha", "beta", "SmolLM2-135M-Instruct", "Apache-2.0", "93 MB to fetch"):
        assert word in listed
    for name in (*doctor_module.examine()["parts"]["fusions"].split(", "), "sequence-colon"):
        assert name in report
