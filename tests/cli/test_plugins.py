"""Parts in somebody else's package work as ours do, without touching a file of ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from support.command_line import COLUMNS, SMALL
from support.forks import Forked
from support.walks import write_log

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "extending.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M)
PACKAGE = "parts_of_mine"

@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a package of two files, a backbone and a fusion, that processes can import."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "__main__.py").write_text("raise SystemExit(3)")
    (folder / "backbone.py").write_text(BLOCKS[0].replace("lagmixer", "toymixer").replace("LagMixer", "ToyMixer"))
    (folder / "fusion.py").write_text(BLOCKS[2].replace('"mlp"', '"toy-mlp"'))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MLTFR_PLUGINS", PACKAGE)
    return tmp_path


def command(package: Path, *arguments: str | Path) -> tuple[int, str, str]:
    """Run a command in a process that can import the package; return its code and what it says."""
    return Forked(*arguments, said=package, environment={"COLUMNS": COLUMNS}).ended()


def test_a_package_adds_a_backbone_and_a_fusion(package: Path) -> None:
    code, text, _ = command(package, "fit", "--help")
    assert code == 0
    assert re.search(r"^  toymixer +Causal mixing by distance", text, re.MULTILINE), text
    assert re.search(r"^  toy-mlp +An MLP on each position", text, re.MULTILINE), text
    write_log(package / "log.csv")
    small = [*SMALL[:4], "--set", "training.batch_size=32", "--epochs", "1"]
    parts = ["--backbone", "toymixer", "--fusion", "Toy_MLP"]  # hyphens and case do not count
    assert command(package, "fit", package / "log.csv", "--out", package / "run", *parts, *small)[0] == 0
    assert 'name = "toy-mlp"' in (package / "run" / "config.toml").read_text()
    assert command(package, "recommend", package / "run", "--out", package / "lists.csv")[0] == 0
    assert len(pl.read_csv(package / "lists.csv")) > 0


@pytest.mark.slow
def test_its_parts_pass_their_contract_suites(package: Path) -> None:
    suites = "from mltfr.testing.backbone import BackboneContract\nfrom mltfr.testing.fusion import FusionContract\n"
    suites += 'class TestToyMixer(BackboneContract):\n    name = "toymixer"\n'
    suites += 'class TestToyMLP(FusionContract):\n    name = "toy-mlp"\n'
    (package / "test_parts.py").write_text(suites)
    words = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "test_parts.py"]
    done = subprocess.run(words, cwd=package, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d{2} passed", done.stdout), done.stdout


def test_a_broken_plugin_is_named(package: Path) -> None:
    (package / PACKAGE / "fusion.py").write_text("import a_module_that_is_not_there")
    write_log(package / "log.csv")
    arguments = ("fit", package / "log.csv", "--out", package / "run", "--backbone", "toymixer")
    code, _, errors = command(package, *arguments)
    assert code == 2
    assert f"The plug-in '{PACKAGE}' cannot be imported (ModuleNotFoundError: " in errors
    assert "take it out of MLTFR_PLUGINS" in errors


def test_a_plugin_does_not_replace_a_part_of_ours(package: Path) -> None:
    (package / PACKAGE / "fusion.py").write_text(BLOCKS[2].replace('"mlp"', '"capacity"'))
    code, _, errors = command(package, "fit", "--help")
    assert code == 2
    assert "fusion 'capacity' is registered twice" in errors
