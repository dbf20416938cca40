"""Main memory: the lower of what the machine and its container have left."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from mltfr.storage import main_memory as memory


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:    5000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CONTROL_GROUP", tmp_path)
    return tmp_path


def test_the_machine(system: Path) -> None:
    assert memory.available_memory() == 5000 * 1024
    (system / "memory.max").write_text("max\n")
    (system / "memory.current").write_text("1000\n")
    assert memory.available_memory() == 5000 * 1024


def test_the_lower_limit_counts(system: Path) -> None:
    (system / "memory.max").write_text("3000\n")
    (system / "memory.current").write_text("1000\n")
    assert memory.available_memory() == 2000


def test_without_meminfo_all_of_the_memory_is_taken(system: Path) -> None:
    (system / "meminfo").write_text("nonsense\n")
    found = memory.available_memory()
    assert found is None or found > 1 << 20


def test_files_that_the_system_can_let_go_of_are_not_in_use(system: Path) -> None:
    (system / "memory.max").write_text("3000\n")
    (system / "memory.current").write_text("2500\n")
    (system / "memory.stat").write_text("anon 1500\ninactive_file 900\n")
    assert memory.available_memory() == 1400


def test_what_the_process_holds(monkeypatch, tmp_path: Path) -> None:
    assert memory.used_memory() > 10_000_000
    monkeypatch.setattr(memory, "_STATM", tmp_path / "nothing")
    assert memory.used_memory() == 0


def test_the_limit_of_the_process_counts(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1, resource.RLIM_INFINITY))  # less than is used already
    assert memory.available_memory() == 0
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert memory.available_memory() == 5000 * 1024
