"""No reader of JSON or TOML is brought down by a text that is deep, or a number that is long."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mltfr.batch import read_histories
from mltfr.config import load_toml
from mltfr.errors import MltfrError
from mltfr.interactions import load_interactions
from mltfr.report.frames import read_labels
from mltfr.storage.files import read_json, read_json_lines
from mltfr.study.spec import read_spec
from mltfr.tokens.sources.safetensors import read_header, read_index
from mltfr.tokens.vocabulary import read_vocabulary_file

JSON = ("[" * 100_000, '{"a": ' * 100_000, "[" * 100_000 + "]" * 100_000, '{"a": ' + "1" * 5000 + "}")
LINES = '{"user_id": "a", "item_id": "b"}\n' * 3
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "vocabulary": ("vocabulary.json", read_vocabulary_file),
    "index of shards": ("model.safetensors.index.json", read_index),
    "histories": ("histories.jsonl", read_histories),
    "log": ("log.jsonl", load_interactions),
    "specification": ("x.json", lambda path: read_spec(path.with_suffix(""))),
}


@pytest.mark.parametrize("number", range(len(JSON)))
@pytest.mark.parametrize("reader", READERS)
def test_json(tmp_path: Path, reader: str, number: int) -> None:
    name, read = READERS[reader]
    text = JSON[number] if reader != "log" else LINES + JSON[number]
    (tmp_path / name).write_text(text)
    with pytest.raises(MltfrError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize("text", JSON)
def test_headers_of_tensors(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + bytes(100))
    with pytest.raises(MltfrError, match="the header is not JSON"):
        read_header(path)


@pytest.mark.parametrize("text", JSON)
def test_own_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    for read in (read_json, read_json_lines):
        with pytest.raises(ValueError, match=r"levels|digits|Expecting"):
            read(tmp_path / "x.json")


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a." * 100_000 + "a = 1", "a = " + "1" * 5000])
def test_toml(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    for read in (load_toml, lambda path: read_labels(path.parent)):
        with pytest.raises(MltfrError, match=r"study\.toml: .*(levels|digits|parts)"):
            read(tmp_path / "study.toml")
