"""Shells complete commands and options, and what completes them is theirs to load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import COMMAND

SHELLS = ("bash", "zsh", "fish")
NO_TORCH = "import sys; sys.modules['torch'] = None; from mltfr.cli.main import main; main()"


def ask(**variables: str) -> list[str]:
    """Return what `mltfr` answers a shell; it may not need torch for that."""
    environment = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", NO_TORCH], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(("words", "place", "completed"), [
    ("mltfr fi", "1", ["fit"]),
    ("mltfr tokens re", "2", ["remove"]),
    ("mltfr fit --pres", "2", ["--preset"]),
    ("mltfr export run --format ", "4", ["onnx", "torch"]),
])  # fmt: skip
def test_words_are_completed(words: str, place: str, completed: list[str]) -> None:
    assert ask(_MLTFR_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=place) == completed


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_that_it_can_read(shell: str, tmp_path: Path) -> None:
    script = " ".join(ask(_MLTFR_COMPLETE=f"source_{shell}"))
    assert f"_MLTFR_COMPLETE=complete_{shell}" in script
    assert "mltfr" in script


def test_bash_completes(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    program = tmp_path / "mltfr"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{COMMAND[-1]}' \"$@\"\n")
    program.chmod(0o755)
    steps = "COMP_WORDS=(mltfr ba); COMP_CWORD=1; _mltfr_completion mltfr; echo ${COMPREPLY[@]}"
    script = f'eval "$(_MLTFR_COMPLETE=source_bash mltfr)"; {steps}'
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["baselines"]


def test_installing_it_writes_into_the_home_folder_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/bash"}
    command = f"{sys.executable} -c '{COMMAND[-1]}' --install-completion; :"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=True)
    assert "Traceback" not in done.stderr
    assert ".bash_completions/mltfr.sh" in (tmp_path / ".bashrc").read_text()
    assert "_mltfr_completion" in (tmp_path / ".bash_completions" / "mltfr.sh").read_text()
