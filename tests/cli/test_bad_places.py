"""Token tables that cannot be read, disks that are full, and a stdout that takes nothing."""

from __future__ import annotations

import re
import resource
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import OutputError
from mltfr.training import JsonLines
from support.command_line import COMMAND, FIT, refused, run


def npy(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, values, allow_pickle=True)


SOURCES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "damaged safetensors": ("x.safetensors", lambda p: p.write_bytes(struct.pack("<Q", 10**6) + b"{"), r"damaged: the"),
    "damaged GGUF": ("x.gguf", lambda p: p.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1)), r"damaged: the head"),
    "no GGUF": ("x.gguf", lambda p: p.write_bytes(bytes(99)), r"damaged: it does not begin as a GGUF file does"),
    "empty npy": ("x.npy", lambda p: p.write_bytes(b""), r"damaged: not a plain .npy file"),
    "pickled npy": ("x.npy", npy(np.array([{}], dtype=object)), r"damaged: not a plain .npy file"),
    "pickled weights": ("pytorch_model.bin", lambda p: p.write_bytes(b"x"), r"pickled weights run code"),
    "no file": ("x.npy", lambda p: None, r"x.npy: no such file or repository"),
    "other vocabulary": ("x.npy", npy(np.zeros((3, 4), np.float32)), r"the table has 3 rows and the vocabulary 2 tok"),
    "NaN": ("x.npy", npy(np.full((2, 4), np.nan, np.float32)), r"row 0 holds a value that is no finite number"),
}  # fmt: skip


@pytest.mark.parametrize("case", SOURCES)
def test_sources_of_tables(tmp_path: Path, store: Path, case: str) -> None:
    name, make, message = SOURCES[case]
    make(tmp_path / name)
    (tmp_path / "vocabulary.json").write_text('["one", "two"]')
    vocabulary = ("--vocabulary", tmp_path / "vocabulary.json")
    error = refused(tmp_path, store, "tokens", "import", "mine", tmp_path / name, *vocabulary)
    assert re.search(message, error)


def test_a_command_to_copy_holds_a_name_with_blanks_as_one_word(tmp_path: Path, store: Path) -> None:
    assert "Make one: mltfr fit FILE --out 'my run'" in refused(tmp_path, store, "evaluate", "my run")
    log = tmp_path / "my log.csv"
    log.write_text("".join(f"u{row % 3},i{row},{1_700_000_000 + row}\n" for row in range(9)))
    assert f"mltfr data describe '{log}' --columns" in refused(tmp_path, store, "data", "describe", log)
    assert f"mltfr fit '{log}' --out RUN" in refused(tmp_path, store, "evaluate", log)


def test_names_of_tables(tmp_path: Path, store: Path) -> None:
    assert "Did you mean 'smollm2-135m'?" in refused(tmp_path, store, "tokens", "get", "smolm2-135m")
    assert "MLTFR_OFFLINE=1 forbids" in refused(tmp_path, store, "tokens", "get", "wordllama")
    assert "Unknown token table 'alpa'. Did you mean 'alpha'?" in refused(tmp_path, store, "tokens", "show", "alpa")
    assert "'zzz' cannot be spelled" in refused(tmp_path, store, "tokens", "show", "alpha", "--near", "zzz")
    for name, message in {"../x": "cannot be a token table's name", "wordllama": "is a name of the catalogue"}.items():
        assert message in refused(tmp_path, store, "tokens", "import", name, tmp_path / "x.npy")
    assert "Unknown data set 'ml-100'. Did you mean 'ml-100k'?" in refused(tmp_path, store, "data", "get", "ml-100")
    assert "MLTFR_OFFLINE=1 forbids fetching it" in refused(tmp_path, store, "data", "get", "ml-100k")


def test_a_damaged_store(tmp_path: Path, store: Path, finished: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(store / "tokens", home / "tokens")
    shutil.rmtree(home / "tokens" / "prepared", ignore_errors=True)
    tables = list((home / "tokens" / "tables").glob("*/table.npy"))
    for table in tables:
        content = bytearray(table.read_bytes())
        content[-5] ^= 255
        table.write_bytes(content)
    verify = refused(tmp_path, home, "tokens", "show", "alpha", "--verify")
    assert "token table 'alpha': damaged: wrong checksum. Import it again: mltfr tokens import alpha SOURCE" in verify
    for table in tables:
        table.write_bytes(table.read_bytes()[:300])
    error = refused(tmp_path, home, "fit", finished / "log.csv", "--out", tmp_path / "run", *FIT)
    assert re.search(r"token table 'alpha': damaged .*Import it again", error)
    assert not (tmp_path / "run").exists()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond some bytes, which fails as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("size", "file"), [(0, "config.toml"), (1000, "config.toml"), (4000, "checkpoint")])
def test_a_disk_that_fills_up_while_fitting(tmp_path: Path, store: Path, finished: Path, size: int, file: str) -> None:
    with full_disk(size):
        error = refused(tmp_path, store, "fit", finished / "log.csv", "--out", tmp_path / "run", *FIT)
    assert re.search(rf"run/{file}.*: the disk is full .*free some space", error)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_disk_that_fills_up_while_recommending(tmp_path: Path, store: Path, finished: Path, ending: str) -> None:
    out = tmp_path / f"best.{ending}"
    out.write_text("yesterday's")
    with full_disk(500):
        error = refused(tmp_path, store, "recommend", finished / "run", "--out", out, "--overwrite")
    assert out.read_text() == "yesterday's"
    assert re.search(rf"best.{ending}: the disk is full .*Nothing was written; free some space", error)


def test_a_disk_that_fills_up_while_importing(tmp_path: Path, store: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 400), np.float32))
    (tmp_path / "v.json").write_text('["one", "two"]')
    with full_disk(1000):
        source = (tmp_path / "x.npy", "--vocabulary", tmp_path / "v.json")
        error = refused(tmp_path, store, "tokens", "import", "mine", *source)
    assert re.search(r"the disk is full .*Nothing was kept", error)


def test_a_disk_that_fills_up_later_keeps_what_can_be_continued(tmp_path: Path, store: Path, finished: Path) -> None:
    arguments = ("fit", finished / "log.csv", "--out", tmp_path / "run", *FIT, "--epochs", "2")
    run(*arguments, "--out", tmp_path / "straight", home=store)
    first_epochs = 300  # bytes of log.jsonl, so that a later line no longer fits
    with pytest.MonkeyPatch.context() as patch:
        write = JsonLines.on_epoch_end

        def fill_up(self: JsonLines, record: dict) -> None:
            if self.file.tell() > first_epochs:
                raise OutputError(f"{self.path}: the disk is full.")
            write(self, record)

        patch.setattr(JsonLines, "on_epoch_end", fill_up)
        done = run(*arguments, home=store, check=False)
    assert done.returncode == 2
    assert (tmp_path / "run" / "checkpoint" / "state.json").exists()
    run(*arguments, "--resume", home=store)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("run", "straight")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("where", "code", "errors"), [
    ("> /dev/full", 2, ["mltfr: No space left on device. Check the disk and the permissions."]),
    ("| true", 1, []),
    (">&-", 0, []),
])  # fmt: skip
def test_a_stdout_that_takes_nothing(store: Path, where: str, code: int, errors: list[str]) -> None:
    script = f'set -o pipefail; "$@" {where}'
    command = ["bash", "-c", script, "-", *COMMAND, "tokens", "list"]
    environment = {"MLTFR_HOME": str(store), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stderr.splitlines() == errors
    assert done.returncode == code
