"""Threads that wait must not take the cores of another process: OpenMP is told so before torch loads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from mltfr.study.launch import launch
from mltfr.threads import SHORT_WAITS, short_waits, usable_cores, waits

DISPLAYED = "GOMP_SPINCOUNT = '{}'"
"""What GCC's OpenMP, which torch's wheels for Linux bring, says at its start that it takes from its variables."""

gcc_openmp = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch brings LLVM's OpenMP here")


def shown(*command: str, **variables: str) -> str:
    """Return what OpenMP says of itself in a command."""
    environment = {name: value for name, value in os.environ.items() if name not in waits(os.environ)}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", **variables}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    return done.stdout + done.stderr


def test_only_what_the_user_left_open_is_set() -> None:
    assert short_waits({"PATH": "/bin", "OMP_NUM_THREADS": "2"}) == SHORT_WAITS
    assert short_waits({"GOMP_SPINCOUNT": "5", "KMP_BLOCKTIME": "200"}) == {}
    assert short_waits({"GOMP_SPINCOUNT": "5"}) == {"KMP_BLOCKTIME": SHORT_WAITS["KMP_BLOCKTIME"]}
    assert short_waits({"OMP_WAIT_POLICY": "ACTIVE"}) == {}


def test_what_is_set_is_found_again() -> None:
    assert waits({"PATH": "/bin", **SHORT_WAITS}) == SHORT_WAITS
    assert waits({"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "2"}) == {"OMP_WAIT_POLICY": "ACTIVE"}


def test_there_is_a_core() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.slow
@gcc_openmp
def test_the_command_line_tells_openmp_in_time() -> None:
    text = shown("-m", "mltfr", "doctor")
    assert DISPLAYED.format(1000) in text
    assert "GOMP_SPINCOUNT=1000, KMP_BLOCKTIME=0" in " ".join(text.split())


@pytest.mark.slow
@gcc_openmp
def test_the_command_line_leaves_what_the_user_chose() -> None:
    text = shown("-m", "mltfr", "doctor", OMP_WAIT_POLICY="passive")
    assert DISPLAYED.format(0) in text
    assert "waiting threads OMP_WAIT_POLICY=passive" in " ".join(text.split())


def test_the_process_of_a_study_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    code = f"import os; open({str(told)!r}, 'w').write(os.environ['GOMP_SPINCOUNT'] + os.environ['OMP_NUM_THREADS'])"
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert launch(tmp_path, 2, Event(), Event()).code == 0
    assert told.read_text() == "10002"
