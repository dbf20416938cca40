"""A process lives, has ended, or cannot be asked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mltfr.storage.processes import is_alive


def test_a_process_lives_until_it_has_ended() -> None:
    assert is_alive(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_alive(process.pid)
    process.communicate()
    assert is_alive(process.pid) is False
    assert is_alive(10**30) is False


@pytest.mark.parametrize(("error", "alive"), [(PermissionError, True), (ProcessLookupError, False)])
def test_somebody_elses_lives(monkeypatch: pytest.MonkeyPatch, error: type[OSError], alive: bool) -> None:
    def kill(pid: int, signal: int) -> None:
        raise error

    monkeypatch.setattr(os, "kill", kill)
    assert is_alive(1) is alive


def test_nothing_is_sent_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", None)
        patch.setattr(os, "name", "nt")
        assert is_alive(1) is None
