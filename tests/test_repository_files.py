"""What stands at the top of the repository says what is so: how to contribute, how to cite, and the templates."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from mltfr import __version__

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([\w ]+) \| `(src/[\w/]+)` \| `(\w+\.py)` \| (.*?) \| (.*?) \|$", CONTRIBUTING, re.MULTILINE)
TEMPLATES = ROOT / ".github" / "ISSUE_TEMPLATE"


def test_the_parts_that_people_add_are_in_the_table() -> None:
    assert {"backbone", "fusion", "loss", "baseline", "reader of logs"} <= {row[0] for row in ROWS}
    assert len(ROWS) == len(re.findall(r"^\| [\w ]+ \| `src/", CONTRIBUTING, re.MULTILINE))


@pytest.mark.parametrize(("part", "folder", "example", "registers", "inherits"), ROWS, ids=[row[0] for row in ROWS])
def test_what_the_table_names_exists(part: str, folder: str, example: str, registers: str, inherits: str) -> None:
    text = (ROOT / folder / example).read_text("utf-8")
    if decorator := re.search(r"`(@\w+)`", registers):
        assert f"\n{decorator[1]}(" in text, part
        module, _, name = inherits.strip("`").rpartition(".")
        assert hasattr(importlib.import_module(module), name)
    else:
        assert f"{example.removesuffix('.py')}.read" in (ROOT / folder / "__init__.py").read_text("utf-8")
        assert (ROOT / inherits.split("`")[1]).exists()


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md"])
def test_what_can_be_made_can_be_made(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z -]+?)(?:`|  |$)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    assert named
    assert {target for words in named for target in words.split()} <= targets


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert (cited["version"], cited["license"]) == (__version__, "Apache-2.0")
    assert re.search(r"arXiv:\d{4}\.\d{5}", cited["message"])


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("[!c]*.yml")), ids=lambda path: path.stem)
def test_issue_forms_ask_for_something(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in asked}) == len(asked) > 0
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field.get("validations", {}).get("required") for field in asked)


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    package = ROOT / "src" / "mltfr"
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]["mltfr"]
    packed = {path for pattern in listed for path in package.glob(pattern)}
    others = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others - packed == set()
    assert package / "py.typed" in packed
    assert all((folder / "__init__.py").exists() for folder in {path.parent for path in package.rglob("*.py")})


def test_the_tests_of_the_lowest_and_newest_dependencies_exist() -> None:
    script = (ROOT / ".ci" / "dependencies").read_text("utf-8")
    named = re.findall(r"--rootdir \.\. (.*)\"\$@\"$", script, re.MULTILINE | re.DOTALL)[0]
    paths = subprocess.run(["bash", "-c", f"printf '%s\\n' {named}"], check=True, capture_output=True, text=True).stdout
    assert len(paths.split()) > 20
    assert [path for path in paths.split() if not (ROOT / "tests" / path).exists()] == []
