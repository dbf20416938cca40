"""Files that token tables are read from, and lies about what is in them."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS, WIDTH = 64, 8
HUGE = (2**60, 2**63 - 1, 2**64 - 1, 2**31, 2**40, 0)
WORDS = [f"word{number}" for number in range(ROWS)]


def values(random: np.random.Generator) -> np.ndarray:
    """Return a small table."""
    return random.standard_normal((ROWS, WIDTH)).astype(np.float32)


def safetensors(folder: Path, random: np.random.Generator, lie: bool) -> Path:
    """Write a safetensors file; its header lies about lengths, shapes, offsets and types, or is no JSON."""
    data, path = values(random).tobytes(), folder / "model.safetensors"
    entry: dict[str, Any] = {"dtype": "F32", "shape": [ROWS, WIDTH], "data_offsets": [0, len(data)]}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}, "model.embed_tokens.weight": entry}
    length, text = None, None
    if lie:
        what, huge = int(random.integers(10)), int(HUGE[int(random.integers(len(HUGE)))])
        if what == 0:
            length = huge
        elif what == 1:
            entry["shape"] = [huge, int(HUGE[int(random.integers(len(HUGE)))])]
        elif what == 2:
            entry["data_offsets"] = [[0, huge], [huge, 0], [-8, len(data)], [8, len(data) + 8]][int(random.integers(4))]
        elif what == 3:
            entry["dtype"] = ["F128", "I64", "BOOL", "F8_E4M3", None, 7][int(random.integers(6))]
        elif what == 4:
            text = "[" * 200_000
        elif what == 5:
            header |= {f"__{number}": {"a": 1} for number in range(50)} | {"x": None}
        elif what == 6:
            entry["shape"] = [[], [ROWS], [ROWS, WIDTH, 1], [-ROWS, -WIDTH], [ROWS, "8"], {}][int(random.integers(6))]
        elif what == 7:
            header["model.embed_tokens.weight"] = [entry, None, "F32", 5][int(random.integers(4))]
        elif what == 8:
            text = json.dumps(header).replace("F32", "F32\\u0000")
        else:
            text = json.dumps(header)[:-1] + ', "model.embed_tokens.weight": ' + "9" * 6000 + "}"
    content = (text or json.dumps(header)).encode()
    path.write_bytes(struct.pack("<Q", length if length is not None else len(content)) + content + data)
    (folder / "vocab.json").write_text(json.dumps(WORDS))
    return path


def gguf(folder: Path, random: np.random.Generator, lie: bool) -> Path:
    """Write a GGUF file by hand; counts, lengths, types, offsets and the alignment may lie."""
    path, data = folder / "model.gguf", values(random).tobytes()
    huge, what = int(HUGE[int(random.integers(len(HUGE)))]), int(random.integers(12)) if lie else -1

    def text(word: str, length: int | None = None) -> bytes:
        return struct.pack("<Q", len(word) if length is None else length) + word.encode()

    def words(count: int | None = None, kind: int = 8) -> bytes:
        return struct.pack("<IIQ", 9, kind, ROWS if count is None else count) + b"".join(map(text, WORDS))

    keys = [
        (text("general.architecture", huge if what == 0 else None), struct.pack("<I", 8) + text("llama")),
        (text("tokenizer.ggml.tokens"), words(huge if what == 1 else None, (9, 12, 77)[huge % 3] if what == 2 else 8)),
        (text("tokenizer.ggml.token_type"), struct.pack("<IIQ", 9, 5, ROWS) + struct.pack("<I", 1) * ROWS),
        (text("general.alignment"), struct.pack("<II", 4, 0 if what == 3 else 32)),
    ]
    if what == 4:
        keys[3] = (keys[3][0], struct.pack("<IIQ", 9, 4, 2) + struct.pack("<II", 32, 32))
    if what == 5:
        keys[1] = (keys[1][0], struct.pack("<If", 6, 1.0))
    if what == 6:
        keys[2] = (keys[2][0], struct.pack("<I", 8) + text("x"))
    if what == 7:
        nested = b"".join(struct.pack("<IQ", 9, 1) for _ in range(5000))
        keys.append((text("deep"), struct.pack("<I", 9) + nested + struct.pack("<IQI", 4, 1, 1)))
    shape = (huge, huge) if what == 8 else (WIDTH, ROWS)
    offset, dimensions = huge if what == 9 else 0, huge % 2**32 if what == 10 else 2
    tensor = text("token_embd.weight") + struct.pack("<IQQIQ", dimensions, *shape, 99 if what == 11 else 0, offset)
    tensors, keyed = (huge, len(keys)) if lie and random.random() < 0.1 else (1, len(keys))
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, keyed) + b"".join(key + value for key, value in keys) + tensor
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)
    return path


def npy(folder: Path, random: np.random.Generator, lie: bool) -> Path:
    """Write a `.npy` file, whose header may lie, or hold something else than it should."""
    path, data = folder / "table.npy", values(random)
    content = io.BytesIO()
    np.save(content, data)
    found = content.getvalue()
    if lie:
        what, huge = int(random.integers(7)), int(HUGE[int(random.integers(len(HUGE)))])
        shapes = (f"({huge}, {huge})", f"({huge}, 8)", "(-64, 8)", "(64,", "()", "(64, 8, __import__('os'))")
        if what == 0:
            found = found.replace(b"(64, 8)", shapes[int(random.integers(len(shapes)))].encode())
        elif what == 1:
            found = found.replace(b"<f4", [b"|O8", b"<c8", b"<i4", b"|S9", b"<U9"][int(random.integers(5))])
        elif what == 2:
            found = found[:8] + b"\xff\xff" + found[10:]
        elif what == 3:
            content = io.BytesIO()
            np.save(content, np.array([{"a": 1}], object), allow_pickle=True)
            found = content.getvalue()
        elif what == 4:
            content = io.BytesIO()
            np.savez(content, data)
            found = content.getvalue()
        elif what == 5:
            found = found[:10] + b"'''" + found[13:]
        else:
            found = found[:10] + b"(" * 60 + found[70:]
    path.write_bytes(found)
    (folder / "table.json").write_text(json.dumps(WORDS))
    return path


def vocabulary(folder: Path, random: np.random.Generator, lie: bool) -> Path:
    """Write a good table beside a vocabulary that lies."""
    path = npy(folder, random, False)
    wrong: list[Any] = [
        "[" * 100_000, {"a": 2**60}, {"a": -1}, {"a": "b"}, {word: number * 1000 for number, word in enumerate(WORDS)},
        {"model": {"vocab": {"a": 2**62}}}, {"model": {"vocab": [[["x"], 1]] * ROWS}}, {"model": None}, [1] * ROWS,
        {"model": {"vocab": {}}, "added_tokens": [{"id": 2**61, "content": "x", "special": True}]}, WORDS[:5], 7, None,
        {"model": {"vocab": dict.fromkeys(WORDS, 0)}}, '{"a": ' + "9" * 5000 + "}", [None] * ROWS, "NaN",
        {"a": 1.5}, {"model": {"vocab": {word: str(number) for number, word in enumerate(WORDS)}}}, ["\ud800"] * ROWS,
        {"model": {"vocab": {"a": 1}}, "added_tokens": {"id": 5}}, "", "\x00", {"added_tokens": None, "model": []},
    ]  # fmt: skip
    if lie:
        found = wrong[int(random.integers(len(wrong)))]
        text = found if isinstance(found, str) else json.dumps(found)
        (folder / "table.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    return path


def shards(folder: Path, random: np.random.Generator, lie: bool) -> Path:
    """Write a folder with an index of shards, which may lead out of it."""
    path = folder / "model"
    path.mkdir()
    safetensors(path, random, False).rename(path / "one.safetensors")
    safetensors(folder, random, False).rename(folder / "outside.safetensors")
    (folder / "vocab.json").unlink()
    name: Any = "one.safetensors"
    if lie:
        (path / "link.safetensors").symlink_to(folder / "outside.safetensors")
        (path / "loop.safetensors").symlink_to("loop.safetensors")
        wrong = ["../outside.safetensors", str(folder / "outside.safetensors"), "loop.safetensors", "none", 5, None,
                 "link.safetensors", "", ".", "../../../../../../etc/passwd", ["one.safetensors"], "one.safetensors\0",
                 "/dev/zero", "x" * 5000]  # fmt: skip
        name = wrong[int(random.integers(len(wrong)))]
    weights: Any = {"model.embed_tokens.weight": name}
    if lie and random.random() < 0.2:
        weights = [[], None, {"other": "one.safetensors"}, "one.safetensors"][int(random.integers(4))]
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    return path


class Planted:
    """An object whose pickle makes a file where it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, ("planted",)


def pickled(folder: Path, random: np.random.Generator, lie: bool) -> Path:
    """Write a pickle under the name of every kind of file."""
    names = ("model.safetensors", "model.gguf", "table.npy", "model.bin", "model.pt", "model.ckpt", "table.npz")
    path = folder / names[int(random.integers(len(names)))]
    path.write_bytes(pickle.dumps(Planted()))
    return path


def archive(folder: Path, random: np.random.Generator, lie: bool) -> Path:
    """Write a wheel with a table in it: a bomb, a path that climbs, a link, an encrypted or doubled member."""
    path, inner = folder / "table.whl", npy(folder, random, False).read_bytes()
    what = int(random.integers(7)) if lie else -1
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        name = {0: "../table.npy", 1: "/tmp/table.npy"}.get(what, "table.npy")
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        if what == 2:
            info.external_attr = 0o120777 << 16
        wheel.writestr(info, b"\0" * (1 << 26) if what == 3 else inner)
        if what == 6:
            wheel.writestr("other/table.npy", inner)
    content = bytearray(path.read_bytes())
    if what in (4, 5):  # encrypted; of an unknown method
        for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            at = content.index(mark) + place + 2 * (what == 5)
            content[at] = 1 if what == 4 else 97
    path.write_bytes(content)
    return path


KINDS: dict[str, Callable[[Path, np.random.Generator, bool], Path]] = {
    "safetensors": safetensors, "gguf": gguf, "npy": npy, "vocabulary": vocabulary, "shards": shards,
    "pickled": pickled, "wheel": archive,
}  # fmt: skip
