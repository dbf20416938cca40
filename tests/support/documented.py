"""What the commands of the documentation find in their folder: a small log in many forms, lists of ids, fitted runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from mltfr.tokens import TokenStore, TokenTable
from support.command_line import run
from support.walks import walks

ROOT = Path(__file__).parents[2]
TABLES = {"smollm2-135m": 24, "wordllama": 16, "minilm-l6": 20}
BEGIN = int(datetime(2023, 11, 6, tzinfo=UTC).timestamp())
MARK = re.compile(r"<!-- not run: (.+?) -->\n")
BLOCK = re.compile(r"((?:<!-- not run: .+? -->\n)?)^( *)```(bash|python)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the language, the code and the reason why it is not run (or "") of every block of a page."""
    for mark, _, language, code in BLOCK.findall(text):
        reason = MARK.search(mark)
        yield language, code, reason[1] if reason else ""


def commands(code: str) -> list[str]:
    """Return the lines of a shell block, those that go on joined."""
    lines = (line.strip() for line in code.replace("\\\n", " ").split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def world(folder: Path) -> None:
    """Fill a folder; its token store is `home`."""
    histories = walks(users=50, items=14, follow=0.9, shortest=6, longest=12)
    rows = [(user, item, 3 + (place % 3), BEGIN + 2 * 86400 * place + number)
            for number, (user, items) in enumerate(histories.items()) for place, item in enumerate(items)]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    log.write_csv(folder / "interactions.csv")
    log.write_parquet(folder / "interactions.parquet")
    half = log.height // 2
    log[:half].write_csv(folder / "january.csv")
    log[half:].write_csv(folder / "february.csv")
    (folder / "exports").mkdir()
    log[:half].write_csv(folder / "exports" / "one.csv")
    log[half:].write_csv(folder / "exports" / "two.csv")
    log[:60].drop("rating").write_csv(folder / "events.csv")
    later = pl.DataFrame({"user_id": [f"u{n % 40}" for n in range(80)], "item_id": [f"i{n % 14}" for n in range(80)],
                          "timestamp": [BEGIN + 86400 * 40 + 977 * n for n in range(80)]})  # fmt: skip
    for name in ("tuesday", "week"):
        later.write_csv(folder / f"{name}.csv")
    given = pl.DataFrame({"user_id": ["new-1", "new-2"], "items": [["i3", "i9"], ["i1"]]})
    given.write_parquet(folder / "histories.parquet")
    given.write_ndjson(folder / "histories.jsonl")
    names = pl.DataFrame({"item_id": [f"i{n}" for n in range(14)] + ["i97"],
                          "title": [f"{'red' if n % 2 else 'blue'} word{n % 5} lamp" for n in range(15)],
                          "brand": [f"word{n % 3}" for n in range(15)]})  # fmt: skip
    for name in ("items", "movies", "titles"):
        names.write_csv(folder / f"{name}.csv")
    vectors = np.random.default_rng(0).normal(size=(14, 8)).astype(np.float32)
    pl.DataFrame({"item_id": [f"i{n}" for n in range(14)], "vector": vectors.tolist()}).write_parquet(
        folder / "items.parquet"
    )
    for name, ids in {
        "users": "u1 u2",
        "sold-out": "i10",
        "items": "i3 i9",
        "mine": "i3 i9 i1",
        "words": "word1 word2",
    }.items():
        (folder / f"{name}.txt").write_text("\n".join(ids.split()) + "\n")
    for name in ("configs", "studies", "tests"):
        (folder / name).symlink_to(ROOT / name)
    store = TokenStore(folder / "home" / "tokens")
    words = (*(f"▁word{number}" for number in range(600)), "▁chocolate", "▁Shampoo", "▁lamp", "▁red", "▁blue")
    for name, width in TABLES.items():
        values = np.random.default_rng(width).normal(size=(len(words), width)).astype(np.float32)
        store.put(TokenTable(name, values, words))
    with chdir(folder):
        for name, options in {"mltfr": (), "plain": ("--fusion", "none"), "random": ("--fusion", "random")}.items():
            run("fit", "interactions.csv", "--out", f"runs/{name}", *options, home=folder / "home")
        for name, same in {"mine": "mltfr", "bare": "plain"}.items():
            (folder / "runs" / name).symlink_to(folder / "runs" / same)


def made(code: str) -> list[str]:
    """Return the folders that a block's commands make."""
    words = shlex.split(" ".join(commands(code)), comments=False)
    return [words[place + 1] for place, word in enumerate(words[:-1]) if word == "--out"]


def obey(line: str, folder: Path) -> str:
    """Run a line of a shell block in a folder; return what went wrong, or ""."""
    words = shlex.split(line, comments=True)
    environment = {}
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, environment[name] = words.pop(0).partition("=")
    if "|" in words:
        words = words[: words.index("|")]
    if words[:2] == ["pip", "install"] and (extra := re.fullmatch(r"mltfr\[(\w+)\]", words[2])):
        known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
        return "" if extra[1] in known else f"{line}: no such extra"
    if not words or words[0] != "mltfr":
        return f"{line}: no command of mltfr. Mark the block: <!-- not run: WHY -->"
    with chdir(folder):
        done = run(*words[1:], home=folder / "home", check=False)
    return "" if done.returncode == 0 else f"{line}: exit code {done.returncode}: {done.stderr[-400:]}"
