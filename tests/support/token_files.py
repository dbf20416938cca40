"""Small tables and the files that they come in."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

KINDS = {
    np.dtype(np.float16): "F16",
    np.dtype(np.float32): "F32",
    np.dtype(np.float64): "F64",
    np.dtype(np.int64): "I64",
    np.dtype(np.uint16): "BF16",
}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Write a safetensors file by hand; uint16 stands for bfloat16."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        begin = len(data)
        data += tensor.tobytes()
        offsets = [begin, len(data)]
        header[name] = {
            "dtype": KINDS[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": offsets,
        }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the upper halves of float32 values."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def write_tokenizer(path: Path, vocabulary: Sequence[str], special: Sequence[int] = ()) -> Path:
    """Write a tokenizer.json whose special tokens are among the added ones only."""
    added = [{"id": row, "content": vocabulary[row], "special": True} for row in special]
    model = {token: row for row, token in enumerate(vocabulary) if row not in special}
    path.write_text(json.dumps({"added_tokens": added, "model": {"type": "BPE", "vocab": model}}))
    return path


def cut(path: Path, size: int | None = None) -> None:
    """Cut a file off."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 10 if size is None else size])


VOCABULARY = ("<s>", "</s>", *(f"▁word{n}" for n in range(1022)))



def small_values(rows: int = 1024, width: int = 256) -> np.ndarray:
    """Return a table of float32 values."""
    return np.random.default_rng(5).standard_normal((rows, width)).astype(np.float32)
