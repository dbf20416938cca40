from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mltfr.errors import RunError
from mltfr.storage.lock import locked

HOLD = "import sys, pathlib\nfrom mltfr.storage.lock import locked\nwith locked(pathlib.Path(sys.argv[1])):\n"
HOLD += "    print('held', flush=True)\n    sys.stdin.read()\n"


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_locked_once_and_free_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path), pytest.raises(RunError, match="another process is at work in it"), locked(tmp_path, 0.1):
            pass


def test_the_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    process = hold(tmp_path)
    with pytest.raises(RunError, match="another process"), locked(tmp_path):
        pass
    process.kill()
    process.communicate()
    with locked(tmp_path, timeout=5):
        pass


def test_errors_inside_pass_and_free_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        1 / 0  # noqa: B018
    with locked(tmp_path):
        pass
