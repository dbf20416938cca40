"""How tests run the command line."""

from __future__ import annotations

import functools
import io
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO
from unittest.mock import patch

import pytest
import torch
import typer

from mltfr.cli.main import main

COMMAND = [sys.executable, "-c", "from mltfr.cli.main import main; main()"]

COLUMNS = "160"
"""Width of the terminal."""
SMALL = (
    "--set", "backbone.hidden=16", "--set", "backbone.max_length=10", "--set", "tokens.width=8",
    "--set", "fusion.filter.shortlist=16", "--set", "fusion.filter.keep=4", "--set", "training.batch_size=32",
)  # fmt: skip
"""Settings that train in a moment."""
FIT = ("--tokens", "alpha,beta", *SMALL, "--epochs", "1")
"""What a quick fit needs beside a log and a folder."""


made_command = functools.cache(typer.main.get_command)
"""The command with all its options, which Typer makes from their functions anew for every call."""


def run(
    *arguments: str | Path, home: Path | None = None, check: bool = True, process: bool = False, online: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run `mltfr`, here or, much slower, in a process of its own; both compute with one thread."""
    environment = {"MLTFR_OFFLINE": "0" if online else "1", "COLUMNS": COLUMNS}
    if home is not None:
        environment["MLTFR_HOME"] = str(home)
    words = [str(argument) for argument in arguments]
    done = (_in_process if process else _here)(words, environment)
    assert "Traceback" not in done.stderr, done.stderr
    if check:
        assert done.returncode == 0, done.stderr
    return done


def _in_process(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    environment = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def _here(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    out, errors = io.StringIO(), io.StringIO()
    return subprocess.CompletedProcess(
        arguments, here(arguments, environment, out, errors), out.getvalue(), errors.getvalue()
    )


def here(arguments: list[str], environment: dict[str, str], out: TextIO, errors: TextIO) -> int:
    """Run `mltfr` in this process; return its exit code."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            patch.dict(os.environ, environment),
            patch.object(sys, "argv", ["mltfr", *arguments]),
            patch.object(typer.main, "get_command", made_command),
            redirect_stdout(out),
            redirect_stderr(errors),
            warnings.catch_warnings(),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    finally:
        torch.set_num_threads(threads)
    return int(ended.value.code or 0)


def files_of(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".verified.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def refused(folder: Path, store: Path, *arguments: str | Path, process: bool = False) -> str:
    """Run a command that must fail; return its error after looking for what it left in `folder` and the store."""
    before = files_of(folder), files_of(store)
    done = run(*arguments, home=store, check=False, process=process)
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert [line.startswith("mltfr: ") for line in lines].count(True) == 1, done.stderr
    assert lines[-1].startswith("mltfr: "), done.stderr  # what comes before is progress
    assert done.stdout == ""
    assert (files_of(folder), files_of(store)) == before
    return lines[-1].removeprefix("mltfr: ")
