"""Scratch folders go, also those of processes that were killed."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from mltfr.storage.scratch import scratch_folder

DEAD = 2**22 + 12345
"""A process number above those that Linux gives."""


def test_it_is_removed_whatever_happens(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "new", "kind") as folder:
        (folder / "file").write_text("x")
        assert folder.name.startswith(".kind-")
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_left_goes_at_the_next_use(tmp_path: Path) -> None:
    host = socket.gethostname()
    left = tmp_path / f".kind-{host}-{DEAD}-00ff"
    kept = [
        tmp_path / f".kind-{host}-{os.getpid()}-00ff",      # at work
        tmp_path / f".other-{host}-{DEAD}-00ff",            # of another kind
        tmp_path / ".kind-elsewhere-1-00ff",                # of another machine
        tmp_path / ".kind-x",
        tmp_path / "kind-file",
    ]
    for folder in (left, *kept):
        folder.mkdir()
        (folder / "file").write_text("x")
    with scratch_folder(tmp_path, "kind"):
        assert not left.exists()
        assert all(folder.exists() for folder in kept)


def test_another_machines_go_after_a_day(tmp_path: Path) -> None:
    folder = tmp_path / ".kind-elsewhere-1-00ff"
    folder.mkdir()
    old = time.time() - 2 * 24 * 3600
    os.utime(folder, (old, old))
    with scratch_folder(tmp_path, "kind"):
        assert not folder.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("mine")
    (tmp_path / f".kind-{socket.gethostname()}-{DEAD}-00ff").symlink_to(target)
    with scratch_folder(tmp_path, "kind"):
        assert (target / "file").read_text() == "mine"
