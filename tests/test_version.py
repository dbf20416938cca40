"""The commit that `mltfr --version` names is that of this mltfr, or none."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mltfr import version
from support.command_line import run

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit and one tag."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "file").write_text("1")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "one"), ("tag", "v1", "-m", "one")):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder


def head(folder: Path) -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout[:12]


def test_a_checkout_has_its_commit_and_says_that_it_was_changed(checkout: Path) -> None:
    assert version.commit_of(checkout) == head(checkout)
    (checkout / "file").write_text("2")
    assert version.commit_of(checkout) == f"{head(checkout)} and changes"


def test_the_commit_of_a_repository_around_it_is_not_its_own(checkout: Path) -> None:
    inside = checkout / "vendored"
    inside.mkdir()
    assert version.commit_of(inside) is None


def test_variables_of_a_hook_do_not_lead_to_another_repository(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert re.fullmatch(r"[0-9a-f]{12}", version.commit_of(checkout) or "")


@pytest.mark.parametrize("path", ["", "broken"])
def test_where_git_cannot_say_there_is_none(checkout: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    if path:
        (checkout / ".git" / "HEAD").write_text("damaged")
    else:
        monkeypatch.setenv("PATH", str(checkout))
    assert version.commit_of(checkout) is None


def test_a_built_package_names_what_was_recorded_and_asks_no_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version.py").touch()
    monkeypatch.setattr(version, "__file__", str(tmp_path / "version.py"))
    monkeypatch.setattr(version, "commit_of", pytest.fail)
    assert version.commit() is None
    (tmp_path / version.RECORD).write_text("0123456789ab")
    assert version.commit() == "0123456789ab"


@pytest.mark.parametrize(("commit", "line"), [(None, ""), ("0123456789ab", " (commit 0123456789ab)")])
def test_the_command_says_it(monkeypatch: pytest.MonkeyPatch, commit: str | None, line: str) -> None:
    monkeypatch.setattr("mltfr.cli.main.commit", lambda: commit)
    assert run("--version").stdout == f"mltfr {version.__version__}{line}\n"
