"""What is pulled is a run and nothing else: nothing else is read, executed or written anywhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mltfr import Recommender
from mltfr.errors import MltfrError
from mltfr.storage.sealed import sealed
from support.command_line import files_of, run
from support.fake_hub import FakeHub, Files


def without(name: str) -> Callable[[Files], Files]:
    return lambda files: {key: data for key, data in files.items() if key != name}


def with_file(name: str) -> Callable[[Files], Files]:
    return lambda files: {**files, name: b"\x80\x04N."}


def changed(name: str) -> Callable[[Files], Files]:
    return lambda files: {**files, name: files[name][:-1] + bytes([files[name][-1] ^ 1])}


def listing(name: str, seal: bool = True) -> Callable[[Files], Files]:
    def change(files: Files) -> Files:
        manifest = json.loads(files["manifest.json"])
        manifest.pop("checksum")
        manifest["files"][name] = "0" * 64
        document = sealed(manifest) if seal else {**manifest, "checksum": "0" * 64}
        return {**files, "manifest.json": json.dumps(document, indent=2).encode()}

    return change


HOSTILE = {
    "../evil.txt": (with_file("../evil.txt"), "which no run has"),
    "/etc/evil.txt": (with_file("/etc/evil.txt"), "which no run has"),
    "a/../../evil.md": (with_file("a/../../evil.md"), "which no run has"),
    "a pickle": (with_file("model.pkl"), "holds 'model.pkl', which no run has"),
    "a pickle in a folder": (with_file("more/weights.pt"), "which no run has"),
    "a module": (with_file("mltfr_plugin.py"), "which no run has"),
    "a library": (with_file("libx.so"), "which no run has"),
    "an entry point": (with_file("entry_points.txt.py"), "which no run has"),
    "wrong weights": (changed("weights.safetensors"), r"damaged \(its checksum differs"),
    "wrong settings": (changed("config.toml"), r"damaged \(its checksum differs"),
    "wrong items": (changed("items.parquet"), r"damaged \(its checksum differs"),
    "a missing file": (without("items.parquet"), "missing, though the manifest lists it"),
    "no manifest": (without("manifest.json"), "holds no run of mltfr"),
    "a manifest that lists another file": (listing("../../evil"), "its manifest lists '../../evil', which no run has"),
    "a manifest that was edited": (listing("x", seal=False), "damaged"),
    "an unlisted table": (with_file("new_items.parquet"), "missing from its manifest"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_is_refused(kind: str, runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path) -> None:
    change, expected = HOSTILE[kind]
    runs["bare"].push_to_hub("me/shop", license="mit")
    hub.repositories["me/shop"].commit(change(hub.files("me/shop")))
    with pytest.raises(MltfrError, match=expected):
        Recommender.from_pretrained("me/shop")
    place = tmp_path / "place"
    place.mkdir()
    done = run("pull", "me/shop", "--out", place / "run", online=True, check=False)
    assert (done.returncode, done.stdout, list(place.iterdir())) == (2, "", [])
    assert not list(tmp_path.rglob("*evil*"))
    assert not list((tmp_path / "cache").rglob("*.pkl"))


@pytest.mark.parametrize("name", ["items.parquet", "README.md", "more.md"])
def test_a_link_that_leads_out_of_the_cache_is_refused(
    name: str, runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path
) -> None:
    runs["bare"].push_to_hub("me/shop", license="mit")
    Recommender.from_pretrained("me/shop")
    secret = tmp_path / "secret.md"
    secret.write_text("mine")
    (snapshot,) = (tmp_path / "cache").glob("models--*/snapshots/*")
    (snapshot / name).unlink(missing_ok=True)
    os.symlink(secret, snapshot / name)
    with pytest.raises(MltfrError, match=rf"'{name}' is a link that leads elsewhere"):
        Recommender.from_pretrained("me/shop", local_files_only=True)


def test_a_damaged_cache_is_fetched_anew_where_that_is_asked_for(
    runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path
) -> None:
    runs["bare"].push_to_hub("me/shop", license="mit")
    Recommender.from_pretrained("me/shop")
    (snapshot,) = (tmp_path / "cache").glob("models--*/snapshots/*")
    blob = (snapshot / "items.parquet").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    done = run("pull", "me/shop", "--out", tmp_path / "run", online=True, check=False)
    assert "items.parquet: damaged" in done.stderr
    assert "mltfr pull --force" in done.stderr
    run("pull", "me/shop", "--out", tmp_path / "run", "--force", online=True)
    assert Recommender.load(tmp_path / "run").similar_items("item01", 2).equals(runs["bare"].similar_items("item01", 2))


def test_a_folder_that_holds_something_is_left_alone(
    runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path
) -> None:
    runs["bare"].push_to_hub("me/shop", license="mit")
    for place, name in (("full", "mine.txt"), ("hidden", ".mine")):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).write_text("mine")
        before = files_of(tmp_path / place)
        done = run("pull", "me/shop", "--out", tmp_path / place, online=True, check=False)
        assert done.returncode == 2
        assert "is not empty" in done.stderr
        assert files_of(tmp_path / place) == before


def test_a_place_that_cannot_be_taken_is_told_before_anything_is_fetched(
    runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path
) -> None:
    runs["bare"].push_to_hub("me/shop", license="mit")
    runs["bare"].save(tmp_path / "own")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".mine").write_text("mine")
    hub.paths.clear()
    for place, told in {
        tmp_path / "own": f"own: holds a finished run. Look at it: mltfr evaluate {tmp_path / 'own'}.",
        tmp_path / "hidden": "hidden: is not empty",
        tmp_path / "file" / "run": "file: cannot be written",
        Path("/proc/theirs"): "/proc: cannot be written",
        Path("/proc/none/theirs"): "/proc/none: cannot be written",
    }.items():
        if not place.is_relative_to("/proc") or sys.platform == "linux":
            done = run("pull", "me/shop", "--out", place, online=True, check=False)
            assert (done.returncode, done.stdout) == (2, "")
            assert told in done.stderr
            assert "partial" not in done.stderr
    assert hub.paths == []
