"""What cannot be read is refused in one line that says what to do."""

from __future__ import annotations

import json
import shutil
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import FetchError, MissingExtraError, TokenTableError
from mltfr.tokens import TokenStore
from mltfr.tokens.load import import_table
from mltfr.tokens.sources import source_for
from mltfr.tokens.sources.base import MAX_SHAPE, check_shape
from mltfr.tokens.sources.gguf_header import read_gguf_header
from mltfr.tokens.sources.hub import HubConfig, HubSource
from mltfr.tokens.sources.safetensors import read_header
from mltfr.tokens.sources.tensor_names import KNOWN_NAMES, choose_tensor
from mltfr.tokens.vocabulary import read_vocabulary_file
from support.token_files import VOCABULARY, small_values, write_safetensors, write_tokenizer


@pytest.mark.parametrize("name", KNOWN_NAMES)
def test_known_names_are_found(name: str) -> None:
    assert choose_tensor({"a": (9, 9), name: (4, 2), "b": (3,)}, None, "f") == name


def test_a_given_name_comes_first() -> None:
    assert choose_tensor({"wte.weight": (4, 2), "mine": (5, 2)}, "mine", "f") == "mine"


def test_unknown_tensors_are_answered_with_the_largest() -> None:
    with pytest.raises(TokenTableError, match=r"f: no tensor has a known .*--tensor NAME.* big 90x8, small 4x2"):
        choose_tensor({"small": (4, 2), "big": (90, 8), "norm": (99,)}, None, "f")
    with pytest.raises(TokenTableError, match=r"f: no tensor 'x'.* small 4x2"):
        choose_tensor({"small": (4, 2)}, "x", "f")


def test_a_vector_is_no_table() -> None:
    with pytest.raises(TokenTableError, match="'norm': is 99, a token table is a matrix"):
        check_shape((99,), "f: tensor 'norm'")


@pytest.mark.parametrize("name", ["model.bin", "model.pt", "model.pth", "x.pkl", "x.ckpt"])
def test_pickles_are_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(TokenTableError, match=r"pickled weights run code.*\.safetensors, \.gguf or \.npy"):
        source_for(str(tmp_path / name))


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(TokenTableError, match="holds pickled weights, which are never opened"):
        source_for(str(tmp_path))


@pytest.mark.parametrize("location", ["gone.safetensors", "folder/gone.gguf", "no such thing"])
def test_what_is_not_there_is_said(location: str) -> None:
    with pytest.raises(TokenTableError, match=r"no such file or repository\. Known: a \.safetensors"):
        source_for(location)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(TokenTableError, match="not a file that token tables are read from"):
        source_for(str(tmp_path / "notes.md"))


def test_an_npy_file_has_no_tensors(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", small_values())
    with pytest.raises(TokenTableError, match="leave --tensor out"):
        source_for(str(tmp_path / "t.npy"), tensor="x")


def test_eight_bit_floats_are_refused(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.safetensors", {"wte.weight": small_values()})
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"F8A"'))
    with pytest.raises(TokenTableError, match=r"is of type F8A\. Known: F16, BF16"), source_for(str(path)).open():
        pass


def test_a_table_with_more_rows_than_tokens_is_cut(tmp_path: Path) -> None:
    values = small_values()
    write_safetensors(tmp_path / "model.safetensors", {"wte.weight": values})
    write_tokenizer(tmp_path / "tokenizer.json", VOCABULARY[:1000])
    with source_for(str(tmp_path)).open() as table:
        np.testing.assert_array_equal(table.read(), values[:1000])
        assert len(table.strings.tokens) == 1000
        assert table.provenance["rows_in_file"] == 1024


def test_tokens_without_a_row_are_cut(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", {"wte.weight": small_values(1000)})
    write_tokenizer(tmp_path / "tokenizer.json", VOCABULARY, special=(0, 1010))
    with source_for(str(tmp_path)).open() as table:
        assert table.shape == (1000, 256)
        assert table.strings.tokens == VOCABULARY[:1000]
        assert table.strings.special == {0}


def test_a_table_without_a_vocabulary_is_numbered(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", {"wte.weight": small_values()})
    with source_for(str(tmp_path)).open() as table:
        assert table.strings.tokens[:2] == ("#0", "#1")
        assert table.provenance["vocabulary_file"] is None


def test_rows_without_a_token_are_empty(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "c": 2}))
    assert read_vocabulary_file(tmp_path / "vocab.json").tokens == ("a", "", "c")


def test_unigram_vocabularies_are_lists_of_pairs(tmp_path: Path) -> None:
    document = {"model": {"vocab": [["<pad>", 0.0], ["▁the", -2.5]]}, "added_tokens": []}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    assert read_vocabulary_file(tmp_path / "tokenizer.json").tokens == ("<pad>", "▁the")


@pytest.mark.parametrize("text", ['{"a": 99999}', '{"a": "b"}', "3", '{"model": {}}', "[1]", "{}", '{"a": -1}'])
def test_json_that_is_no_vocabulary_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "vocab.json").write_text(text)
    with pytest.raises(TokenTableError, match=r"vocab\.json: holds no vocabulary"):
        read_vocabulary_file(tmp_path / "vocab.json")


def test_a_binary_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TokenTableError, match="it is no text file"):
        read_vocabulary_file(tmp_path / "tokenizer.model")


class FolderHub:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, repository: str, revision: str | None) -> tuple[str, dict[str, int | None]]:
        return "c0ffee", {path.name: path.stat().st_size for path in sorted(self.folder.iterdir())}

    def download(self, repository: str, file: str, revision: str, folder: Path) -> Path:
        return Path(shutil.copy(self.folder / file, folder))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["pytorch_model.bin", "tokenizer.json"], "has no safetensors weights; pickled ones"),
        (["a.safetensors", "b.safetensors", "tokenizer.json"], "several weight files and no model.safetensors.index"),
        (["model.safetensors"], "owner/model: has none of tokenizer.json.*--vocabulary"),
    ],
)
def test_repositories_without_a_table(tmp_path: Path, files: list[str], message: str) -> None:
    for file in files:
        write_safetensors(tmp_path / file, {"wte.weight": small_values()})
    source = HubSource(HubConfig(repository="owner/model"), FolderHub(tmp_path))
    with pytest.raises(TokenTableError, match=message), source.open():
        pass


@pytest.mark.parametrize(("file", "size", "message"), [
    ("model.safetensors", 1 << 60, r"model/model\.safetensors: has 1,152,921,504,606,846,976 bytes, and .* are free"),
    ("model.safetensors", None, r"the hub does not say how large it is, so it is not fetched"),
    ("tokenizer.json", 200_000_000, r"tokenizer\.json: has 200,000,000 bytes, and 100,000,000 are allowed"),
    ("model.safetensors.index.json", 200_000_000, r"index\.json: has 200,000,000 bytes, and 100,000,000 are allowed"),
    ("another.safetensors", 5, r"another\.safetensors: the repository has no such file"),
])  # fmt: skip
def test_what_is_too_large_is_not_fetched(tmp_path: Path, file: str, size: int | None, message: str) -> None:
    class LyingHub(FolderHub):
        def files(self, repository: str, revision: str | None) -> tuple[str, dict[str, int | None]]:
            commit, files = super().files(repository, revision)
            return commit, files if file.startswith("another") else {**files, file: size}

        def download(self, repository: str, name: str, revision: str, folder: Path) -> Path:
            assert name != file
            return super().download(repository, name, revision, folder)

    write_safetensors(tmp_path / "model.safetensors", {"wte.weight": small_values()})
    write_tokenizer(tmp_path / "tokenizer.json", VOCABULARY)
    named = file if file.startswith("another") else None
    source = HubSource(HubConfig(repository="owner/model", file=named), LyingHub(tmp_path))
    with pytest.raises(TokenTableError, match=message), source.open():
        pass


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*arguments: object, **named: object) -> None:
        raise ConnectionError("Name or service not known\nmore")

    monkeypatch.setattr(hub.HfApi, "model_info", refuse)
    source = source_for("owner/model")
    assert isinstance(source, HubSource)
    with pytest.raises(FetchError, match=r"owner/model: .*\(Name or service not known\).*HF_TOKEN"), source.open():
        pass


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mltfr\[hub\]'"), source_for("owner/model").open():
        pass


def test_importing_needs_a_free_name(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "tokens")
    np.save(tmp_path / "t.npy", small_values())
    with pytest.raises(TokenTableError, match="'wordllama' is a name of the catalogue"):
        import_table("wordllama", str(tmp_path / "t.npy"), store)
    with pytest.raises(TokenTableError, match="cannot be a token table's name"):
        import_table("My Table", str(tmp_path / "t.npy"), store)
    assert import_table("mine", str(tmp_path / "t.npy"), store).shape == (1024, 256)


def test_importing_from_the_hub_respects_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    with pytest.raises(FetchError, match="owner/model: MLTFR_OFFLINE=1 forbids"):
        import_table("mine", "owner/model", TokenStore(tmp_path))


def test_a_table_of_another_model_than_the_tokens_is_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", {"wte.weight": small_values()})
    for tokens in (VOCABULARY[:900], (*VOCABULARY, *(f"more{n}" for n in range(200)))):
        write_tokenizer(tmp_path / "tokenizer.json", tokens)
        with pytest.raises(TokenTableError, match=f"1,024 rows and the vocabulary {len(tokens):,} tokens"):
            source_for(str(tmp_path)).open().__enter__()


@pytest.mark.parametrize("shape", [(MAX_SHAPE[0] + 1, 1), (1, MAX_SHAPE[1] + 1), (5,), (5, 4, 1), (0, 4), (4, 0)])
def test_shapes_that_no_table_has_are_refused(shape: tuple[int, ...]) -> None:
    assert check_shape(MAX_SHAPE, "x") == MAX_SHAPE
    with pytest.raises(TokenTableError, match=r"^x: is .* a token table "):
        check_shape(shape, "x")


def test_headers_are_read_within_their_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The length that a header claims is beyond the file, or beyond any header."""
    path = tmp_path / "t.safetensors"
    header = b'{"wte.weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert read_header(path)[1] == 8 + len(header)
    with monkeypatch.context() as patch:
        patch.setattr("mltfr.tokens.sources.safetensors.MAX_BYTES", len(header) - 1)
        with pytest.raises(TokenTableError, match="the header is cut off"):
            read_header(path)
    path.write_bytes(struct.pack("<Q", len(header) + 9) + header + b" " * 8)  # of which a reader would see the end
    with pytest.raises(TokenTableError, match="the header is cut off"):
        read_header(path)


@pytest.mark.parametrize("kind", [struct.pack("<II", 9, 0), struct.pack("<I", 8)], ids=["numbers", "text"])
def test_a_gguf_header_that_claims_much_takes_little_memory(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "t.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + kind + struct.pack("<Q", 1 << 28) + bytes(99))
    tracemalloc.start()
    try:
        with pytest.raises(TokenTableError, match="the header is cut off or wrong"):
            read_gguf_header(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
