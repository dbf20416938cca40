"""The script that writes results into the documentation, on made-up studies."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from mltfr.report import write_report
from support.made_up_study import write_study

ROOT = Path(__file__).parents[1]


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_results", ROOT / "docs" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two studies as they are committed: without users and cells."""

    def draw(study: object, folder: Path) -> list[Path]:
        folder.mkdir(exist_ok=True)
        (folder / "gain.png").write_bytes(b"png")
        return [folder / "gain.png"]

    monkeypatch.setattr("mltfr.report.write.draw_all", draw)
    for name, data in (("controls", ("beauty",)), ("main", ("beauty", "pantry"))):
        folder = write_study(tmp_path / "benchmarks/results/studies" / name, data=data)
        write_report(folder, f"Study {name}", ("ndcg@10", "hr@10"), "none", "users-and-seeds", ["Few epochs."])
        shutil.rmtree(folder / "cells")
        (folder / "users.parquet").unlink()
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/main.toml").write_text("")
    (tmp_path / "docs/results-notes").mkdir(parents=True)
    single = "## Single fits\n\nSee [a](https://x.org) and [b](#single).\n"
    (tmp_path / "docs/results-notes/single.md").write_text(single)
    said = "### What it says\n\nAll is well, see [a](../../benchmarks/a.md).\n"
    (tmp_path / "docs/results-notes/main.md").write_text(said)
    return tmp_path


def test_the_page_has_every_study_with_links_that_lead_somewhere(root: Path) -> None:
    assert SCRIPT.main([], root) == 0
    page = root / "docs" / "results.md"
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ .*$", text, re.M)
    assert headings[:3] == ["# Results", "## Study main", "### What it says"]
    assert text.count("All is well, see [a](../benchmarks/a.md).") == 1, "a study's own note stands above its tables"
    assert headings.index("### What it says") < headings.index("### Overview: relative gain in NDCG@10 over none")
    assert headings[-1] == "## Single fits"
    assert "mltfr study benchmarks/results/studies/controls/study.toml --out runs/controls" in text
    assert "Few epochs." in text
    assert "See [a](https://x.org) and [b](#single)." in text
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(links) == 2
    assert all((page.parent / link).is_file() for link in links)


def test_check_writes_nothing_and_tells(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert SCRIPT.main(["--check"], root) == 1
    assert capsys.readouterr().out == "docs/results.md: is out of date\n"
    assert not (root / "docs" / "results.md").exists()
    assert SCRIPT.main([], root) == 0
    assert SCRIPT.main(["--check"], root) == 0


def test_folders_can_be_named(root: Path) -> None:
    assert SCRIPT.main([str(root / "benchmarks/results/studies/controls")], root) == 0
    assert "Study main" not in (root / "docs" / "results.md").read_text("utf-8")


def test_the_documentation_is_up_to_date() -> None:
    assert SCRIPT.main(["--check"]) == 0, "Run: python docs/results.py"
