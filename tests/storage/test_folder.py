from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from mltfr.errors import DataError, OutputError, RunError
from mltfr.interactions.prepared import load_prepared
from mltfr.pipeline.artifact import read_manifest as read_run
from mltfr.storage.folder import MANIFEST, FolderFormat, damaged, describe_file, is_intact
from mltfr.version import __version__
from support.manifests import change_sealed

RUN = FolderFormat("run", 2, ("a.txt",), RunError, "Make {folder} again.")
SET = FolderFormat("prepared set", 1, ("a.txt",), DataError, "Make it again.", kind="prepared interactions", sizes=True)


@pytest.fixture(params=[RUN, SET], ids=["run", "set"])
def form(request: pytest.FixtureRequest) -> FolderFormat:
    return request.param


@pytest.fixture
def folder(tmp_path: Path, form: FolderFormat) -> Path:
    (tmp_path / "a.txt").write_text("content")
    for stray in (".hidden", "notes.txt"):
        (tmp_path / stray).write_text("not listed")
    form.write_manifest(tmp_path, {"seed": 3})
    return tmp_path


def change(folder: Path, **fields: object) -> None:
    change_sealed(folder / MANIFEST, lambda document: document.update(fields))


def test_a_folder_describes_itself(folder: Path, form: FolderFormat) -> None:
    manifest = form.read_manifest(folder)
    assert (manifest["format"], manifest["mltfr"], manifest["seed"]) == (form.version, __version__, 3)
    assert manifest.get("kind") == form.kind
    assert list(manifest["files"]) == ["a.txt"]
    checksum = describe_file(folder / "a.txt")
    assert manifest["files"]["a.txt"] == (checksum if form.sizes else checksum["sha256"])


def test_a_disk_that_fails_before_the_manifest_is_one_line(
    folder: Path, form: FolderFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match="cannot be written \\(Read-only file system\\)"):
        form.write_manifest(folder, {})


def test_a_changed_file_is_damage(folder: Path, form: FolderFormat) -> None:
    (folder / "a.txt").write_text("kontent")
    with pytest.raises(form.error, match=r"a\.txt: damaged.*Make"):
        form.read_manifest(folder)


def test_a_missing_file_is_named(folder: Path, form: FolderFormat) -> None:
    (folder / "a.txt").unlink()
    with pytest.raises(form.error, match=r"a\.txt: missing, though the manifest lists it"):
        form.read_manifest(folder)


@pytest.mark.parametrize("files", [{}, [], {"../a.txt": "", "notes.txt": ""}])
def test_every_file_must_be_listed(folder: Path, form: FolderFormat, files: object) -> None:
    change(folder, files=files)
    with pytest.raises(form.error, match=r"a\.txt: missing from the .*'s manifest"):
        form.read_manifest(folder)


def test_what_is_read_beside_the_own_files_must_be_listed(folder: Path, form: FolderFormat) -> None:
    with pytest.raises(form.error, match=r"notes\.txt: missing from the .*'s manifest"):
        form.read_manifest(folder, ["notes.txt"])
    form.write_manifest(folder, {}, ["notes.txt"])
    assert list(form.read_manifest(folder, ["notes.txt"])["files"]) == ["a.txt", "notes.txt"]


def test_stray_files_change_nothing(folder: Path, form: FolderFormat) -> None:
    before = form.read_manifest(folder)
    (folder / "notes.txt").write_text("changed")
    (folder / ".hidden").unlink()
    (folder / "resume.log").touch()
    (folder / ".ipynb_checkpoints").mkdir()
    assert form.read_manifest(folder) == before


def test_a_changed_fact_is_damage(folder: Path, form: FolderFormat) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"seed": 3', '"seed": 8'))
    with pytest.raises(form.error, match=r"manifest\.json: damaged.*checksum differs"):
        form.read_manifest(folder)
    (folder / MANIFEST).write_text(text.replace('"checksum"', '"checkzum"'))
    with pytest.raises(form.error, match=r"manifest\.json: damaged.*checksum differs"):
        form.read_manifest(folder)


def test_manifests_of_before_they_were_sealed_are_read(folder: Path, form: FolderFormat) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    del document["checksum"]
    (folder / MANIFEST).write_text(json.dumps(document))
    assert form.read_manifest(folder)["seed"] == 3


def test_another_version_is_named(folder: Path, form: FolderFormat) -> None:
    change(folder, format=7, mltfr="9.1")
    with pytest.raises(form.error, match=rf"format 7 by mltfr 9\.1; this is mltfr .* reads format {form.version}"):
        form.read_manifest(folder)


def test_another_kind_is_named(folder: Path, form: FolderFormat) -> None:
    change(folder, kind="recommendations")
    with pytest.raises(form.error, match=f"holds recommendations, no {form.name}"):
        form.read_manifest(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"kind": "prepared interactions", "format": 1, "files": 3}'])
def test_a_damaged_manifest_is_one_line(folder: Path, form: FolderFormat, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(form.error, match=r"manifest\.json: damaged.*Make"):
        form.read_manifest(folder)


def test_the_remedy_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(RunError, match=f"Make {tmp_path} again"):
        RUN.read_manifest(tmp_path)


@pytest.mark.parametrize("entry", [None, 3, {}, {"bytes": 7}, "0" * 64])
def test_an_entry_that_is_none_matches_nothing(tmp_path: Path, entry: object) -> None:
    (tmp_path / "a").write_text("content")
    assert not is_intact(tmp_path / "a", entry)
    assert is_intact(tmp_path / "a", describe_file(tmp_path / "a"))


@pytest.mark.parametrize("name", [MANIFEST, "a.txt"])
@pytest.mark.parametrize(("number", "remedy"), [
    (errno.EACCES, "Check the disk and the permissions."),
    (errno.EIO, "Check the disk and the permissions."),
    (errno.EMFILE, "Raise the limit of open files (ulimit -n)."),
    (errno.ENFILE, "Raise the limit of open files (ulimit -n)."),
    (errno.ENOMEM, "Memory is short: end other programs, or take a machine with more."),
])  # fmt: skip
def test_a_file_that_may_not_be_read_is_not_called_damaged(
    folder: Path, form: FolderFormat, name: str, number: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(path: Path, *how: object, **more: object) -> Any:
        if path.name == name:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", refuse)

    def read(path: Path, **how: object) -> str:
        with refuse(path, **how) as file:
            return file.read()

    monkeypatch.setattr(Path, "read_text", read)
    expected = f"{folder / name}: cannot be read ({os.strerror(number)}). {remedy}"
    with pytest.raises(form.error, match=f"^{re.escape(expected)}$"):
        form.read_manifest(folder)


def test_memory_that_is_short_is_not_called_damage(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"x: cannot be read .*Memory is short"), damaged(tmp_path / "x", RunError, ""):
        raise MemoryError


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_folder_that_may_not_be_searched_is_one_line(
    folder: Path, form: FolderFormat, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Path.stat

    def refuse(path: Path, **how: bool) -> os.stat_result:
        if path.parent == folder:
            raise OSError(number, os.strerror(number), str(path))
        return looked(path, **how)

    monkeypatch.setattr(Path, "stat", refuse)
    expected = f"{folder / 'a.txt'}: cannot be read ({os.strerror(number)}). Check the disk and the permissions."
    with pytest.raises(form.error, match=f"^{re.escape(expected)}$"):
        form.read_manifest(folder)
    for read, error in ((read_run, RunError), (load_prepared, DataError)):
        with pytest.raises(error, match=r"manifest\.json: cannot be read .*Check the disk"):
            read(folder)


def test_damage_of_a_library_is_one_line_and_other_errors_pass(tmp_path: Path) -> None:
    reason = r"x: damaged, or of another version \(it lacks 'a'\)\. Fit it again\."
    with pytest.raises(RunError, match=reason), damaged(tmp_path / "x", RunError, "Fit it again."):
        {}["a"]
    with pytest.raises(RunError, match="inf"), damaged(tmp_path / "x", RunError, "", also=(OverflowError,)):
        int(float("inf"))
    with pytest.raises(ZeroDivisionError), damaged(tmp_path / "x", RunError, ""):
        1 / 0  # noqa: B018
