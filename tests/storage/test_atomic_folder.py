from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.storage.atomic_folder import atomic_folder


def test_a_folder_appears_when_it_is_published(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "all") as folder:
        (folder.path / "x").write_text("1")
        assert [path.name for path in (tmp_path / "all").iterdir()] == [folder.path.parent.name]
        folder.publish("one")
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["one"]
    assert (tmp_path / "all" / "one" / "x").read_text() == "1"


def test_a_folder_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with atomic_folder(tmp_path) as folder:
        (folder.path / "x").write_text("1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("repair", [False, True])
def test_the_first_of_two_folders_stands_unless_it_is_damaged(tmp_path: Path, repair: bool) -> None:
    for text in ("first", "second"):
        with atomic_folder(tmp_path) as folder:
            (folder.path / "x").write_text(text)
            folder.publish("one", repair=repair)
    assert (tmp_path / "one" / "x").read_text() == ("second" if repair else "first")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(tmp_path: Path) -> None:
    for name in (".folder.1-0123abcd.partial", ".mine.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").touch()
    (tmp_path / ".folder.2-0123abcd.partial").symlink_to(tmp_path / "elsewhere")
    with atomic_folder(tmp_path) as folder:
        (folder.path / "x").write_text("1")
        with atomic_folder(tmp_path) as other:
            other.publish("two")
        folder.publish("one")
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == [".folder.2-0123abcd.partial", ".mine.partial", "elsewhere", "one", "two"]
    assert (tmp_path / "elsewhere" / "x").exists()
    assert (tmp_path / "one" / "x").read_text() == "1"
