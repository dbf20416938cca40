"""Files that lie, climb out or are damaged at random: one line, in bounded memory and time."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from mltfr.errors import TokenTableError
from mltfr.tokens.load import import_table
from mltfr.tokens.sources import source_for
from mltfr.tokens.sources.gguf_header import read_gguf_header
from mltfr.tokens.sources.safetensors import SafetensorsConfig, SafetensorsSource
from mltfr.tokens.store import TokenStore
from support.token_files import write_safetensors, write_tokenizer

TOKENS = tuple(f"word{n}" for n in range(20))
VALUES = np.arange(1, 81, dtype=np.float32).reshape(20, 4)


def safetensors(header: object, values: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + values


def entry(shape: object, offsets: object, dtype: object = "F32") -> dict[str, object]:
    return {"embedding.weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


DEEP = b"[" * 100_000
HUGE = 1 << 60
LYING_SAFETENSORS = {
    "a header of 2^60 bytes": safetensors({}, length=HUGE),
    "a header of 2^64 - 1 bytes": safetensors({}, length=(1 << 64) - 1),
    "deep": safetensors(DEEP),
    "deep in an entry": safetensors(b'{"a":' + DEEP),
    "long integers": safetensors(b'{"a": ' + b"9" * 10_000 + b"}"),
    "a name like metadata": safetensors({"__x": 5, **entry([2, 2], [0, 16])}, bytes(16)),
    "rows of 2^60": safetensors(entry([HUGE, 4], [0, 80]), bytes(80)),
    "rows and columns of 2^32": safetensors(entry([1 << 32, 1 << 32], [0, 0])),
    "a shape that overflows": safetensors(entry([1 << 63, 4], [0, 80]), bytes(80)),
    "no rows": safetensors(entry([0, 4], [0, 0])),
    "no columns": safetensors(entry([4, 0], [0, 0])),
    "negative": safetensors(entry([-1, -4], [0, 16]), bytes(16)),
    "booleans": safetensors(entry([True, True], [0, 4]), bytes(4)),
    "offsets backwards": safetensors(entry([2, 2], [16, 0]), bytes(16)),
    "offsets of fewer rows": safetensors(entry([3, 2], [0, 16]), VALUES.tobytes()),
    "offsets outside": safetensors(entry([2, 2], [HUGE, HUGE + 16]), bytes(16)),
    "a shape that is a text": safetensors(entry("22", [0, 16]), bytes(16)),
    "a type that is a list": safetensors(entry([2, 2], [0, 16], ["F32"]), bytes(16)),
    "three dimensions": safetensors(entry([2, 2, 1], [0, 16]), bytes(16)),
    "a list": safetensors([1, 2]),
    "no text": safetensors(b"\xff\xfe{}"),
    "half a surrogate pair": safetensors(b'{"\\ud800": 5}'),
}


def string(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def gguf_file(*pairs: bytes, tensors: bytes = b"", count: int = 0, entries: int | None = None) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, count, len(pairs) if entries is None else entries)
    return head + b"".join(pairs) + tensors + bytes(64)


def pair(key: str, kind: int, value: bytes) -> bytes:
    return string(key.encode()) + struct.pack("<I", kind) + value


def array(inner: int, count: int, content: bytes = b"") -> bytes:
    return struct.pack("<IQ", inner, count) + content


TABLE = string(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 4, 20, 0, 0)
NESTED = array(9, 1) * 5000
LYING_GGUF = {
    "2^60 tensors": gguf_file(count=HUGE),
    "2^60 entries": gguf_file(entries=HUGE),
    "a string of 2^60": gguf_file(string(b"key", HUGE)),
    "an array of 2^60 numbers": gguf_file(pair("a", 9, array(4, HUGE))),
    "an array of 2^60 numbers of no bytes": gguf_file(pair("a", 9, array(12, 1 << 61))),
    "an array of 2^60 strings": gguf_file(pair("a", 9, array(8, HUGE))),
    "nested arrays": gguf_file(pair("a", 9, NESTED)),
    "an unknown type": gguf_file(pair("a", 77, b"")),
    "alignment 0": gguf_file(pair("general.alignment", 4, struct.pack("<I", 0)), tensors=TABLE, count=1),
    "alignment below 0": gguf_file(pair("general.alignment", 5, struct.pack("<i", -32)), tensors=TABLE, count=1)
    + VALUES.tobytes(),
    "alignment an array": gguf_file(
        pair("general.alignment", 9, array(4, 1, struct.pack("<I", 32))), tensors=TABLE, count=1
    ),
    "alignment a text": gguf_file(pair("general.alignment", 8, string(b"32")), tensors=TABLE, count=1),
    "a tensor of 2^60 rows": gguf_file(
        tensors=string(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 4, HUGE, 0, 0), count=1
    ),
    "a tensor far outside": gguf_file(
        tensors=string(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 4, 2, 0, HUGE), count=1
    ),
    "4,000,000 dimensions": gguf_file(tensors=string(b"token_embd.weight") + struct.pack("<I", 4_000_000), count=1),
    "a tensor twice": gguf_file(tensors=TABLE + TABLE, count=2),
    "tokens that are numbers": gguf_file(
        pair("tokenizer.ggml.tokens", 9, array(4, 2, bytes(8))), tensors=TABLE, count=1
    )
    + bytes(500),
    "tokens that are a number": gguf_file(pair("tokenizer.ggml.tokens", 4, bytes(4)), tensors=TABLE, count=1)
    + bytes(500),
    "types that are a number": gguf_file(
        pair("tokenizer.ggml.tokens", 9, array(8, 20, string(b"w") * 20)),
        pair("tokenizer.ggml.token_type", 4, bytes(4)),
        tensors=TABLE,
        count=1,
    )
    + bytes(500),
    "types of other tokens": gguf_file(
        pair("tokenizer.ggml.tokens", 9, array(8, 20, string(b"w") * 20)),
        pair("tokenizer.ggml.token_type", 9, array(4, 3, bytes(12))),
        tensors=TABLE,
        count=1,
    )
    + bytes(500),
}


def npy(header: bytes, content: bytes = bytes(64)) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def saved(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("arr_0.npy", saved(VALUES))
    return file.getvalue()


def described(shape: str, descr: str = "'<f4'") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode())


LYING_NPY = {
    "a header that ends within a bracket": npy(b"{'descr': ('<f4', "),
    "a header of brackets": npy(b"(" * 5000),
    "a header that is code": npy(b"__import__('os').abort()"),
    "2^60 rows": described(f"({HUGE}, 4)"),
    "2^40 x 2^40": described(f"({1 << 40}, {1 << 40})"),
    "rows below zero": described("(-2, 4)"),
    "rows that are a text": described("('2', 4)"),
    "three dimensions": saved(VALUES.reshape(5, 4, 4)),
    "one dimension": saved(VALUES[:, 0]),
    "no rows": saved(VALUES[:0]),
    "no columns": saved(VALUES[:, :0]),
    "integers": saved(VALUES.astype(int)),
    "texts": saved(VALUES.astype(str)),
    "complex": saved(VALUES.astype(complex)),
    "objects": described("(2, 4)", "'|O'"),
    "a record": described("(2, 4)", "[('a', '<f4')]"),
    "a zip archive of arrays": zipped(),
    "not a number": saved(np.full((20, 4), np.nan)),
    "infinite": saved(np.full((20, 4), np.inf)),
    "beyond float32": saved(np.full((20, 4), 1e300)),
    "all zero": saved(np.zeros((20, 4))),
}
FILES = {
    **{f"safetensors, {name}": ("t.safetensors", content) for name, content in LYING_SAFETENSORS.items()},
    **{f"gguf, {name}": ("t.gguf", content) for name, content in LYING_GGUF.items()},
    **{f"npy, {name}": ("t.npy", content) for name, content in LYING_NPY.items()},
}


@pytest.mark.parametrize("case", FILES)
@pytest.mark.filterwarnings("error")
def test_files_that_lie_are_one_line(tmp_path: Path, case: str) -> None:
    name, content = FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TokenTableError) as caught:
        import_table("mine", str(tmp_path / name), TokenStore(tmp_path / "store"))
    assert "\n" not in str(caught.value)
    assert TokenStore(tmp_path / "store").names() == []


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "{}/outside.safetensors", "sub/x.safetensors", "..", "a\\b.safetensors",
             ".hidden.safetensors", "a\0.safetensors", "other.bin", 5, None, ["x"]],
)
def test_an_index_leads_to_its_own_folder_alone(tmp_path: Path, name: object) -> None:
    """What lies outside is there, whole, and would be read."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path / "outside", folder / "sub" / "x", folder / "a\\b", folder / ".hidden"):
        write_safetensors(place.with_suffix(".safetensors"), {"embedding.weight": VALUES})
    write_tokenizer(folder / "tokenizer.json", TOKENS)
    shard = name.format(tmp_path) if isinstance(name, str) else name
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"embedding.weight": shard}}))
    with pytest.raises(TokenTableError, match="names a shard outside its own folder"):
        SafetensorsSource(SafetensorsConfig(path=folder)).open().__enter__()


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json", "tokenizer.json", "model.json"])
def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path, name: str) -> None:
    write_safetensors(tmp_path / "other.safetensors", {"embedding.weight": VALUES})
    os.mkfifo(tmp_path / name)
    if name == "model.safetensors":
        with pytest.raises(TokenTableError, match="it is no file"), source_for(str(tmp_path)).open():
            pass
    else:
        with source_for(str(tmp_path)).open() as table:
            assert table.shape == (20, 4)


def write_gguf(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list(list(TOKENS))
    writer.add_token_types([1] * 20)
    writer.add_tensor("token_embd.weight", VALUES)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


WRITERS: dict[str, Callable[[Path], object]] = {
    "t.safetensors": lambda path: write_safetensors(path, {"embedding.weight": VALUES}),
    "t.gguf": write_gguf,
    "t.npy": lambda path: np.save(path, VALUES),
    "tokenizer.json": lambda path: write_tokenizer(path, TOKENS, special=(0,)),
    "model.safetensors.index.json": lambda path: path.write_text(
        json.dumps({"weight_map": {"embedding.weight": "t.safetensors"}})
    ),
}


@pytest.mark.parametrize("content", [
    pair("a", 9, array(12, 900_000)), pair("a", 9, array(4, 500_000)), pair("a", 9, array(8, 500_000)),
])  # fmt: skip
def test_no_memory_is_asked_for_what_a_file_cannot_hold(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.gguf").write_bytes(gguf_file(content) + bytes(1_000_000))
    tracemalloc.start()
    with pytest.raises(TokenTableError, match="the header is cut off or wrong"):
        read_gguf_header(tmp_path / "t.gguf")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000


BYTES = (0, 1, 2, 8, 9, 0x22, 0x2C, 0x30, 0x3A, 0x5B, 0x5D, 0x7B, 0x7D, 0x7F, 0x80, 0xFF)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.filterwarnings("ignore")
def test_any_damage_to_a_file_is_one_line(tmp_path: Path, name: str) -> None:
    for file in {name, "t.safetensors"}:
        WRITERS[file](tmp_path / file)
    path, numbers = tmp_path / name, random.Random(name)
    table = tmp_path / "t.safetensors" if name == "tokenizer.json" else path
    intact = path.read_bytes()
    refusals = []
    for _ in range(300):
        content = bytearray(intact)
        for _ in range(numbers.randint(1, 4)):
            place = numbers.randrange(min(len(content), 400) if numbers.random() < 0.8 else len(content))
            content[place] = numbers.choice(BYTES)
        if numbers.random() < 0.2:
            place = numbers.randrange(min(len(content), 400))
            content[place : place + 8] = struct.pack("<Q", numbers.choice([HUGE, (1 << 64) - 1, 1 << 31, 0]))
        if numbers.random() < 0.2:
            del content[numbers.randrange(len(content)) :]
        path.write_bytes(content)
        try:
            with source_for(str(table)).open() as opened:
                opened.read()
        except TokenTableError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    assert not any("\n" in refusal or len(refusal) > 2000 for refusal in refusals)
