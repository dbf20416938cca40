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
    (tmp_path / "docs/results-notes/readme.md").write_text("By hand, [speed](../../benchmarks/speed.md#memory).\n")
    single = "## Single fits\n\nSee [a](https://x.org) and [b](#single).\n"
    (tmp_path / "docs/results-notes/single.md").write_text(single)
    (tmp_path / "README.md").write_text(f"# m\n\n{SCRIPT.BEGIN}\nstale\n{SCRIPT.END}\n\nrest\n")
    return tmp_path


def test_the_readme_gets_short_tables_of_the_main_study(root: Path) -> None:
    assert SCRIPT.main([], root) == 0
    text = (root / "README.md").read_text("utf-8")
    assert text.startswith(f"# m\n\n{SCRIPT.BEGIN}\nSeeds 0, 1 and 2. Mean ± standard deviation over them.")
    assert text.endswith(f"By hand, [speed](benchmarks/speed.md#memory).\n{SCRIPT.END}\n\nrest\n")
    assert "stale" not in text
    assert re.findall(r"^#+ .*$", text, re.M)[1:] == ["### beauty: test", "### pantry: test"]
    assert "| backbone | fusion | NDCG@10 | HR@10 | p (Holm) |" in text
    assert re.search(r"^\| popularity \|  \| \.\d{4} \| \.\d{4} \|  \|$", text, re.M)
    assert re.search(r"^\| sasrec \| none \| \S+ ± \S+ \| \S+ ± \S+ \|  \|$", text, re.M)
    assert re.search(r"^\| sasrec \| mltfr \| \*\*\S+ ± \S+\*\* \| \*\*\S+ ± \S+\*\* \| \S+.* \|$", text, re.M)
    assert "mltfr study studies/main.toml --out runs/main" in text


def test_the_page_has_every_study_with_links_that_lead_somewhere(root: Path) -> None:
    assert SCRIPT.main([], root) == 0
    page = root / "docs" / "results.md"
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ .*$", text, re.M)
    assert headings[:3] == ["# Results", "## Study controls", "### Overview: relative gain in NDCG@10 over none"]
    assert headings[-1] == "## Single fits"
    assert "mltfr study benchmarks/results/studies/controls/study.toml --out runs/controls" in text
    assert "Few epochs." in text
    assert "See [a](https://x.org) and [b](#single)." in text
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(links) == 2
    assert all((page.parent / link).is_file() for link in links)


def test_check_writes_nothing_and_tells(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (root / "README.md").read_text("utf-8")
    assert SCRIPT.main(["--check"], root) == 1
    assert capsys.readouterr().out == "README.md: is out of date\ndocs/results.md: is out of date\n"
    assert (root / "README.md").read_text("utf-8") == before
    assert not (root / "docs" / "results.md").exists()
    assert SCRIPT.main([], root) == 0
    assert SCRIPT.main(["--check"], root) == 0


def test_folders_can_be_named(root: Path) -> None:
    assert SCRIPT.main([str(root / "benchmarks/results/studies/controls")], root) == 0
    assert "Study main" not in (root / "docs" / "results.md").read_text("utf-8")
    assert "pantry" not in (root / "README.md").read_text("utf-8")


def test_a_readme_without_a_place_for_results(root: Path) -> None:
    (root / "README.md").write_text("# m\n")
    with pytest.raises(SystemExit, match=r"has no lines <!-- results:begin --> and <!-- results:end -->"):
        SCRIPT.main([], root)


def test_the_documentation_is_up_to_date() -> None:
    assert SCRIPT.main(["--check"]) == 0, "Run: python docs/results.py"
