"""A newcomer's first hour and the day after, line by line: what is typed, and what is said, on three small logs.

Each file of `walk/` is a chapter. `$ COMMAND` runs as in a shell and `>>> CODE` in Python; what follows, up to an empty
line, is what is printed, with `...` for anything and `[exit 2]` for an exit code. Other lines are for readers.
"""

from __future__ import annotations

import doctest
import io
import re
import shlex
import subprocess
from glob import glob
from pathlib import Path

import numpy as np
import pytest

from mltfr.tokens import TokenStore, TokenTable
from support.command_line import here
from support.made_up_logs import write_clicks, write_listens, write_ratings

CHAPTERS = sorted((Path(__file__).parent / "walk").glob("*.txt"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
TABLES = {"smollm2-135m": 24, "wordllama": 16, "minilm-l6": 20}
"""The default token tables; here with made-up words, and this width."""
ENVIRONMENT = {"MLTFR_OFFLINE": "1", "COLUMNS": "120"}


def shell(command: str) -> None:
    """Run a command and print what a terminal would show, without empty lines: those end an expectation."""
    program, *arguments = [path for word in shlex.split(command) for path in glob(word) or [word]]
    out = io.StringIO(f"$ {command}\n")
    out.seek(0, io.SEEK_END)
    if program != "mltfr":
        out.write(subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout)
    elif code := here(arguments, ENVIRONMENT, out, out):
        out.write(f"[exit {code}]\n")
    print(re.sub(r"\n\s*\n", "\n", out.getvalue()), end="")


def examples_of(text: str) -> list[doctest.Example]:
    """Return the steps of a chapter as doctest knows them, each with its line."""
    as_python = re.sub(r"^\$ (.+)$", lambda line: f">>> shell({line[1]!r})\n{line[0]}", text, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_examples(as_python)
    commands = 0
    for example in examples:
        example.lineno -= commands
        commands += example.source.startswith("shell(")
    return examples


@pytest.fixture
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _own_home: None) -> None:
    """Stand in a folder with the three logs; the store has small tables of the default ones' names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "home"))
    for write in (write_ratings, write_clicks, write_listens):
        write(tmp_path)
    words = tuple(f"▁{word}{number}" for number in range(200) for word in ("star", "tea", "rain"))
    for name, width in TABLES.items():
        values = np.random.default_rng(width).normal(size=(len(words), width)).astype(np.float32)
        TokenStore().put(TokenTable(name, values, words))


@pytest.mark.slow
@pytest.mark.usefixtures("_at_home")
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_every_line_is_answered_as_written(chapter: Path) -> None:
    text = chapter.read_text("utf-8")
    walk = doctest.DocTest(examples_of(text), {"shell": shell}, chapter.stem, str(chapter), 0, text)
    failures: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(walk, out=failures.append)
    if failures:
        pytest.fail("".join(failures), pytrace=False)


def test_a_wrong_answer_is_shown_with_its_line_command_and_both_texts() -> None:
    text = "# a walk\n\n$ printf 'one two'\none ...\n\n$ printf three\nfour\n\n>>> 1 + 1\n3\n"
    failures: list[str] = []
    walk = doctest.DocTest(examples_of(text), {"shell": shell}, "walk", "walk.txt", 0, text)
    assert doctest.DocTestRunner(optionflags=FLAGS).run(walk, out=failures.append) == (2, 3)
    said = "".join(failures)
    assert "line 6, in walk" in said
    assert "Expected:\n    $ printf three\n    four\nGot:\n    $ printf three\n    three\n" in said
    assert "line 9, in walk" in said
