"""Token tables that lie: read as `mltfr tokens import` reads them.

Tried: safetensors, GGUF, npy, vocabularies, indexes of shards, wheels and pickles; whole, with lies in their headers
(2^60 tensors, shapes that overflow, offsets that lead elsewhere, deep JSON, paths that climb, bombs), with bytes
flipped and lost.

Found wrong: anything but one line or a table; a table that is not the one of a whole file; a file made by a pickle.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from faults.cases import Case, Outcome, prepare_nothing, wordless
from faults.made_tables import KINDS, ROWS, WIDTH

HOW = ("whole", "lies", "lies", "lies", "flipped", "flipped", "cut")
TIMES = 30
SECONDS, MEMORY = 30.0, 1 << 28
prepare = prepare_nothing


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every kind of file with every fault."""
    for _ in range(max(1, round(scale * TIMES))):
        for kind in KINDS:
            yield from ((kind, {"how": how}) for how in HOW)


def attempt(case: Case) -> Outcome:
    """Write a file, and import it."""
    from mltfr.errors import MltfrError, TokenTableError
    from mltfr.storage.archive import copy_member
    from mltfr.tokens.load import import_table
    from mltfr.tokens.store import TokenStore

    random, how = case.random(), case.given["how"]
    folder = case.scratch / "files"
    folder.mkdir(parents=True)
    path = KINDS[case.kind](folder, random, how == "lies")
    if how in ("flipped", "cut"):
        _damage(path, random, how)
    os.chdir(folder)
    try:
        if case.kind == "wheel":
            target = io.BytesIO()
            copy_member(path, "*table.npy", target, TokenTableError, limit=1 << 20)
            path = case.scratch / "table.npy"
            path.write_bytes(target.getvalue())
        table = import_table("made", str(path), TokenStore(case.scratch / "store"))
    except MltfrError as error:
        wrong = f"refused: {error}" if how == "whole" and case.kind != "pickled" else ""
        return Outcome("refused, one line", wrong or wordless(error) or _left(folder))
    wrong = "" if np.isfinite(table.embeddings).all() else "values that are no numbers"
    if len(table.vocabulary) != len(table.embeddings):
        wrong = f"{len(table.vocabulary)} tokens for {len(table.embeddings)} rows"
    if how == "whole" and table.shape != (ROWS, WIDTH):
        wrong = f"another shape: {table.shape}"
    if case.kind == "pickled":
        wrong = "a pickle was read"
    return Outcome("read", f"{how}: {wrong}" if wrong else "")


def _left(folder: Path) -> str:
    return "a planted pickle was run" if (folder / "planted").exists() else ""


def _damage(path: Path, random: np.random.Generator, how: str) -> None:
    files = sorted(file for file in (path.rglob("*") if path.is_dir() else path.parent.iterdir()) if file.is_file())
    file = files[int(random.integers(len(files)))]
    content = bytearray(file.read_bytes())
    if how == "cut":
        del content[int(random.integers(len(content))) :]
    else:
        reach = len(content) if random.random() < 0.3 else min(len(content), 400)  # headers stand first
        for _ in range(int(random.integers(1, 4))):
            content[int(random.integers(reach))] ^= 1 << int(random.integers(8))
    file.write_bytes(content)
