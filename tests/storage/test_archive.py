"""One file comes out of an archive, whatever else the archive claims."""

from __future__ import annotations

import io
import random
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from mltfr.errors import FetchError, TokenTableError
from mltfr.storage.archive import copy_member

CONTENT = b"content" * 1000


def write_zip(path: Path, *names: str, content: bytes = CONTENT) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def copy(path: Path, member: str, **limits: int) -> bytes:
    target = io.BytesIO()
    copy_member(path, member, target, FetchError, **limits)
    return target.getvalue()


def test_a_file_is_found_by_name_or_pattern(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", "a/data.txt", "a/other")
    assert copy(path, "a/data.txt") == CONTENT
    assert copy(path, "a/*.txt") == CONTENT
    with pytest.raises(FetchError, match=r"^x\.zip: has no file a/gone\.$"):
        copy(path, "a/gone")
    with pytest.raises(FetchError, match=r"2 files match a/\*, not one"):
        copy(path, "a/*")


def test_the_error_is_of_the_asked_type(tmp_path: Path) -> None:
    with pytest.raises(TokenTableError, match="has no file"):
        copy_member(write_zip(tmp_path / "x.zip", "a"), "b", io.BytesIO(), TokenTableError)


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(FetchError, match=r"x\.whl: is damaged"):
        copy(tmp_path / "x.whl", "a")


@pytest.mark.parametrize("name", ["/etc/a", "../a", "b/../../a"])
def test_paths_that_climb_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FetchError, match="leads out of the archive"):
        copy(write_zip(tmp_path / "x.zip", name), "*a")


def test_links_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(FetchError, match="is a link"):
        copy(tmp_path / "x.zip", "a")


def change_header(path: Path, offset: int, value: int) -> None:
    """Change a 16-bit field of the first file's entry in the central directory."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, content.index(b"PK\x01\x02") + offset, value)
    path.write_bytes(content)


@pytest.mark.parametrize(("offset", "value", "message"), [(8, 1, "is encrypted"), (10, 93, r"unknown method \(93\)")])
def test_what_cannot_be_unpacked_is_said(tmp_path: Path, offset: int, value: int, message: str) -> None:
    path = write_zip(tmp_path / "x.zip", "a")
    change_header(path, offset, value)
    with pytest.raises(FetchError, match=message):
        copy(path, "a")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", "a", content=bytes(20_000_000))
    assert path.stat().st_size < 50_000
    with pytest.raises(FetchError, match="20,000,000 bytes unpacked, more than the 1,000,000"):
        copy(path, "a", limit=1_000_000)


def test_a_bomb_that_lies_about_its_size_stays_small(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", "a", content=bytes(20_000_000))
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 20_000_000), struct.pack("<I", 1000)))
    target = io.BytesIO()
    with pytest.raises(FetchError, match="is damaged"):
        copy_member(path, "a", target, FetchError, 1_000_000)
    assert target.tell() <= 1000


def test_any_damage_is_one_line(tmp_path: Path) -> None:
    path, numbers = write_zip(tmp_path / "x.zip", "a", "b"), random.Random(0)
    intact = path.read_bytes()
    refusals = []
    for _ in range(500):
        content = bytearray(intact)
        for _ in range(numbers.randint(1, 4)):
            content[numbers.randrange(len(content))] = numbers.randrange(256)
        path.write_bytes(content[: numbers.choice([len(content), numbers.randrange(len(content))])])
        try:
            assert copy(path, "a") == CONTENT
        except FetchError as error:
            refusals.append(str(error))
    assert len(refusals) > 250
    assert not any("\n" in refusal for refusal in refusals)


def write_tar(path: Path, *infos: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def tar_info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, "/etc/hostname"
    return info


@pytest.mark.parametrize("name", ["x.tar", "x.tgz"])
def test_a_file_of_a_tar(tmp_path: Path, name: str) -> None:
    path, target = write_tar(tmp_path / name, tar_info("../a", 3), tar_info("./a", 5)), io.BytesIO()
    copy_member(path, "a", target, FetchError)
    assert target.getvalue() == b"xxxxx"


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (tar_info("a", 0, tarfile.SYMTYPE), "is a link, or no file"),
        (tar_info("a", 0, tarfile.LNKTYPE), "is a link, or no file"),
        (tar_info("a", 0, tarfile.DIRTYPE), "is a link, or no file"),
        (tar_info("a", 1001), "has 1,001 bytes unpacked, more than the 1,000 that were expected"),
        (tar_info("b"), "has no file a"),
    ],
)
def test_what_is_refused_of_a_tar(tmp_path: Path, info: tarfile.TarInfo, message: str) -> None:
    with pytest.raises(FetchError, match=message):
        copy_member(write_tar(tmp_path / "x.tar", info), "a", io.BytesIO(), FetchError, 1000)


def test_a_damaged_tar(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tgz", tar_info("a", 100_000))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(FetchError, match=r"x\.tgz: is damaged"):
        copy_member(path, "a", io.BytesIO(), FetchError)
