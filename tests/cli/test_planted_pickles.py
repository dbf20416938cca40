"""A pickle planted in any file that is read is refused, and never run."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mltfr.interactions import load_interactions
from mltfr.interactions.prepare import prepare
from mltfr.recommender import Recommender
from mltfr.storage.files import sha256
from mltfr.training import Interrupted
from support.command_line import run
from support.stopping import StopAt
from support.token_files import write_safetensors


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.mark), "w")


def _npy(payload: Payload) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([payload], object), allow_pickle=True)
    return file.getvalue()


def _npz(payload: Payload) -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.array([payload], object), allow_pickle=True)
    return file.getvalue()


def _torch(payload: Payload) -> bytes:
    file = io.BytesIO()
    torch.save(payload, file)
    return file.getvalue()


FORMS: dict[str, Callable[[Payload], bytes]] = {
    "pickle": pickle.dumps,
    "npy": _npy,
    "npz": _npz,
    "torch": _torch,
}


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def test_the_payload_works(mark: Path) -> None:
    pickle.loads(pickle.dumps(Payload(mark))).close()
    assert mark.exists()


def refuse(home: Path, mark: Path, *arguments: str | Path) -> None:
    done = run(*arguments, home=home, check=False)
    assert done.returncode == 2, (arguments, done.stdout)
    assert not mark.exists(), arguments


@pytest.mark.parametrize("form", FORMS)
def test_in_a_token_table(tmp_path: Path, mark: Path, form: str) -> None:
    content = FORMS[form](Payload(mark))
    endings = (".npy", ".npz", ".pt", ".pth", ".bin", ".pkl", ".safetensors", ".gguf", "")
    for number, name in enumerate(f"t{ending}" for ending in endings):
        (tmp_path / name).write_bytes(content)
        refuse(tmp_path / "home", mark, "tokens", "import", f"t{number}", tmp_path / name)
    model = tmp_path / "model"
    model.mkdir()
    (model / "pytorch_model.bin").write_bytes(content)
    refuse(tmp_path / "home", mark, "tokens", "import", "t", model)
    write_safetensors(model / "model.safetensors", {"wte.weight": np.ones((4, 2), np.float32)})
    (model / "tokenizer.json").write_bytes(content)
    refuse(tmp_path / "home", mark, "tokens", "import", "t", model)
    lying = write_safetensors(tmp_path / "in.safetensors", {"wte.weight": np.ones((4, 2), np.float32)}).read_bytes()
    (tmp_path / "in.safetensors").write_bytes(lying[:8] + content)
    refuse(tmp_path / "home", mark, "tokens", "import", "t", tmp_path / "in.safetensors")


@pytest.mark.parametrize("form", FORMS)
def test_in_the_token_store(tmp_path: Path, store: Path, finished: Path, mark: Path, form: str) -> None:
    content = FORMS[form](Payload(mark))
    files = [path.relative_to(store) for path in sorted((store / "tokens").rglob("*")) if path.is_file()]
    for file in files:
        home = tmp_path / "home"
        shutil.copytree(store, home)
        (home / file).write_bytes(content)
        done = run("tokens", "show", "alpha", home=home, check=False)
        assert done.returncode in (0, 2), file
        assert done.returncode == 2 or "alpha" not in (home / file).name, file
        assert not mark.exists(), file
        shutil.rmtree(home)


@pytest.mark.parametrize("form", FORMS)
def test_in_a_run(tmp_path: Path, store: Path, finished: Path, mark: Path, form: str) -> None:
    content = FORMS[form](Payload(mark))
    for path in sorted((finished / "run").iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        folder = tmp_path / "run"
        shutil.copytree(finished / "run", folder)
        (folder / path.name).write_bytes(content)
        manifest = json.loads((finished / "run" / "manifest.json").read_text())
        if isinstance(manifest["files"].get(path.name), str):            # its checksum is forged too
            manifest["files"][path.name] = sha256(folder / path.name)
            (folder / "manifest.json").write_text(json.dumps(manifest))
        refuse(store, mark, "evaluate", folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize("form", FORMS)
def test_in_logs_and_requests(tmp_path: Path, store: Path, finished: Path, mark: Path, form: str) -> None:
    content = FORMS[form](Payload(mark))
    for name in ("log.csv", "log.parquet", "log.jsonl", "log.inter", "log.txt", "log.pkl", "log.npy"):
        (tmp_path / name).write_bytes(content)
        refuse(store, mark, "data", "describe", tmp_path / name)
    for name in ("vectors.parquet", "vectors.safetensors", "vectors.npy"):
        (tmp_path / name).write_bytes(content)
        options = ("--fusion", "adapter", "--item-vectors", tmp_path / name)
        refuse(store, mark, "fit", finished / "log.csv", "--out", tmp_path / "run", *options)


@pytest.mark.slow
def test_in_a_checkpoint(
    tmp_path: Path, store: Path, finished: Path, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(store))
    callback = StopAt(1)
    config = finished / "run" / "config.toml"
    with pytest.raises(Interrupted):
        Recommender(config=config).fit(
            str(finished / "log.csv"), tmp_path / "run", callback=callback, stop=callback.stop
        )
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and "checkpoint" in str(path.parent)]
    assert files
    for file in files:
        for form in FORMS.values():
            shutil.copytree(tmp_path / "run", tmp_path / "copy")
            (tmp_path / "copy" / file.relative_to(tmp_path / "run")).write_bytes(form(Payload(mark)))
            arguments = ("fit", finished / "log.csv", "--out", tmp_path / "copy", "--config", config, "--resume")
            assert run(*arguments, home=store, check=False).returncode in (0, 2)
            assert not mark.exists(), file
            shutil.rmtree(tmp_path / "copy")


def test_in_a_prepared_set(tmp_path: Path, finished: Path, mark: Path) -> None:
    prepare(finished / "log.csv", tmp_path / "set")
    load_interactions(tmp_path / "set")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    for name in [*manifest["files"], "manifest.json"]:
        for form in FORMS.values():
            shutil.copytree(tmp_path / "set", tmp_path / "copy")
            path = tmp_path / "copy" / name
            path.write_bytes(form(Payload(mark)))
            if name != "manifest.json":                                  # its checksum is forged too
                forged = {"bytes": path.stat().st_size, "sha256": sha256(path)}
                entry = forged if isinstance(manifest["files"][name], dict) else forged["sha256"]
                document = {**manifest, "files": {**manifest["files"], name: entry}}
                (tmp_path / "copy" / "manifest.json").write_text(json.dumps(document))
            done = run("data", "describe", tmp_path / "copy", check=False)
            assert done.returncode in (0, 2), name
            assert not mark.exists(), name
            shutil.rmtree(tmp_path / "copy")
