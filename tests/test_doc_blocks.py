"""Every block of commands and of Python in the documentation runs, but those that are marked with a reason.

A page's blocks run one after the other in a folder of its own, with small data, small networks and one epoch.
`<!-- not run: WHY -->` on the line before a block leaves it out.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import generate
from mltfr.cli.main import app
from mltfr.pipeline import resolve
from support.command_line import made_command
from support.documented import ROOT, blocks, commands, made, obey, world

PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "tutorials"),
]
"""Tutorials are scripts and tested as such; blocks of Python are run by the tests of the README."""
BASH = {page: [(code, why) for language, code, why in blocks(page.read_text("utf-8")) if language == "bash"]
        for page in PAGES}  # fmt: skip
SMALL = {"tokens.width": 8, "training.batch_size": 32, "training.check_memory": False}


def small(**given: Any) -> Any:
    """Return settings of a fit, with one epoch, and a narrow network where there is one."""
    config = resolve(**given)
    if config.preset == "reference" or not hasattr(config.backbone, "hidden"):
        return config
    fusion = {"fusion.filter.shortlist": 16, "fusion.filter.keep": 4} if hasattr(config.fusion, "filter") else {}
    overrides = [*given.pop("overrides", ())]
    overrides += [f"{key}={str(value).lower()}" for key, value in {**SMALL, **fusion}.items()]
    overrides += ["backbone.hidden=16", "backbone.max_length=10"]
    return resolve(**{**given, "epochs": 1, "baselines": False}, overrides=overrides)


@pytest.fixture(scope="module")
def _small_fits() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mltfr.pipeline.resolve", small)
        yield


@pytest.fixture(scope="module")
def made_world(tmp_path_factory: pytest.TempPathFactory, _small_fits: None) -> Path:
    folder = tmp_path_factory.mktemp("world")
    world(folder)
    return folder


def copied(folder: Path, target: Path, without: list[str]) -> Path:
    """Return a copy of the world, without what the commands at hand will make."""
    shutil.copytree(folder, target, symlinks=True)
    for name in without:
        path = target / name
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    return target


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, found in BASH.items() if any(not why for _, why in found)],
                         ids=lambda page: str(page.relative_to(ROOT)))  # fmt: skip
def test_the_commands_of_a_page_run(page: Path, made_world: Path, tmp_path: Path) -> None:
    todo = [code for code, why in BASH[page] if not why]
    folder = copied(made_world, tmp_path / "copy", [name for code in todo for name in made(code)])
    wrong = [said for code in todo for line in commands(code) if (said := obey(line, folder))]
    assert wrong == []


HELP = {path: re.findall(r"`(mltfr [^`]+)`", (command.help or "").replace("\n", " ").partition("Usually:")[2])
        for path, command in generate._walk("mltfr", made_command(app))}  # fmt: skip
ALONE = {"mltfr demo", "mltfr doctor", "mltfr data list", "mltfr tokens list"}
"""Commands that need nothing behind them: their name is the example."""
ELSEWHERE = {
    "mltfr auto": "takes the time that it is given",
    "mltfr tune": "takes the time that it is given",
    "mltfr demo": "needs a network",
    "mltfr data get": "needs a network",
    "mltfr tokens get": "needs a network",
    "mltfr tokens import": "needs the files of a model",
    "mltfr tokens remove": "needs an imported table",
    "mltfr export": "builds a graph for half a minute, and has tests of its own",
    "mltfr serve": "waits for requests",
    "mltfr study": "takes minutes",
    "mltfr push": "needs a hub",
    "mltfr pull": "needs a hub",
}
"""Commands whose example is read, but not run."""


@pytest.mark.parametrize("path", HELP)
def test_the_help_of_every_command_has_an_example_that_parses(path: str) -> None:
    examples = HELP[path] or ([path] if path in ALONE else [])
    assert examples, f"{path} --help has no line 'Usually: `{path} ...`'"
    words = shlex.split(examples[0])
    assert " ".join(words).startswith(path)
    command: Any = made_command(app)
    for word in path.split()[1:]:
        command = command.commands[word]
    command.make_context(path, words[len(path.split()) :], resilient_parsing=True)
    known = {option for parameter in command.params for option in parameter.opts}
    assert [word for word in words if word.startswith("-") and word not in known] == []


@pytest.mark.slow
def test_the_examples_of_the_help_run(made_world: Path, tmp_path: Path) -> None:
    todo = [(HELP[path] or [path])[0] for path in HELP if path not in ELSEWHERE]
    todo = [line.replace("USER", "u1").replace("ITEM", "i3") for line in todo]
    folder = copied(made_world, tmp_path / "copy", [name for line in todo for name in made(line)])
    for name, same in {"sasrec": "plain", "bsarec": "random", "item-knn": "mltfr"}.items():
        (folder / "runs" / name).symlink_to(folder / "runs" / same)
    wrong = [obey(line, folder) for line in sorted(todo, key=lambda line: " fit " not in line)]
    assert [said for said in wrong if said] == []


def test_marks_are_few_and_say_why() -> None:
    marked = [(page, why) for page, found in BASH.items() for _, why in found if why]
    of_studies = [page for page, _ in marked if page.name == "results.md"]
    assert len(of_studies) == len(list((ROOT / "benchmarks/results/studies").glob("*/results.parquet")))  # one each
    assert len(marked) - len(of_studies) < 26
    assert all(len(why.split()) > 1 for _, why in marked)


def test_a_block_that_is_no_command_of_ours_fails() -> None:
    (found,) = blocks("text\n```bash\nmake coffee  # soon\n```\n")
    assert found == ("bash", "make coffee  # soon\n", "")
    assert "Mark the block" in obey("make coffee  # soon", Path())
    assert [why for *_, why in blocks("<!-- not run: it is hot -->\n```python\n1\n```\n")] == ["it is hot"]
