"""Logs in every format, with columns that nobody asked for, and texts as people have them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Row = tuple[str, str, int]
TITLES = (
    "Plain", "With, comma", 'A 5" screen', '"Quoted" title', "Ends with \\", "ümläut", "tab\there", "semi;colon",
    "bar|bar", "#1 hit", "'single'", "", " spaced ", "two\nlines", "日本", "Tom & Jerry: a tale",
)  # fmt: skip
DELIMITERS = {"csv": ",", "tsv": "\t", "semicolon": ";", "bar": "|"}


@dataclass(frozen=True)
class MadeLog:
    """A log and the file that it was written to.

    Attributes:
        rows: its interactions, in the order of the file.
        content: the bytes of the file, unpacked.
        name: the file's name.
        format: as `--format` names it.
        delimiter: of delimited text; empty for other formats.
    """

    rows: list[Row]
    content: bytes
    name: str
    format: str
    delimiter: str = ""


def rows_of(random: np.random.Generator) -> list[Row]:
    """Return interactions, each with a time of its own, users coming again."""
    count = int(random.choice([3, 8, 30, 60, 700], p=[0.1, 0.3, 0.4, 0.18, 0.02]))
    users, items = max(2, count // 4), max(3, count // 2)
    start = int(random.choice([1_600_000_000, 1_600_000_000_000, 1_600_000_000_000_000]))
    prefix = ("", "u", "user ", "ü-")[int(random.integers(4))]
    return [
        (f"{prefix}{random.integers(users)}", f"i{random.integers(items)}", start + 7 * place)
        for place in range(count)
    ]


def delimited(kind: str, random: np.random.Generator) -> MadeLog:
    """Return a table of text with a header, in one of csv's dialects."""
    rows, delimiter = rows_of(random), DELIMITERS[kind]
    text = io.StringIO()
    quoting = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)[int(random.integers(3))]
    end = ("\n", "\r\n")[int(random.integers(2))]
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    places = [str(name) for name in random.permutation(["user_id", "item_id", "timestamp", "title", "price"])]
    writer.writerow(places)
    for user, item, time in rows:
        title = TITLES[int(random.integers(len(TITLES)))]
        values = {"user_id": user, "item_id": item, "timestamp": time, "title": title, "price": 1.5}
        writer.writerow([values[name] for name in places])
    suffix = "tsv" if kind == "tsv" else "csv"
    return MadeLog(rows, text.getvalue().encode(), f"log.{suffix}", suffix, delimiter)


def recbole(kind: str, random: np.random.Generator) -> MadeLog:
    """Return a RecBole file."""
    rows = rows_of(random)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"{user}\t{item}\t{random.integers(1, 6)}\t{time}" for user, item, time in rows]
    return MadeLog(rows, ("\n".join(lines) + "\n").encode(), "log.inter", "recbole", "\t")


def json_lines(kind: str, random: np.random.Generator) -> MadeLog:
    """Return JSON Lines, sometimes with keys that are not in every line, and whole numbers as ids."""
    rows, lines = rows_of(random), []
    for user, item, time in rows:
        row: dict[str, object] = {"user_id": user, "item_id": item, "timestamp": time}
        if random.random() < 0.3:
            row["tags"] = [1, {"a": None}]
        lines.append(json.dumps(row, ensure_ascii=bool(random.integers(2))))
    return MadeLog(rows, ("\n".join(lines) + "\n").encode(), "log.jsonl", "jsonl")


def parquet(kind: str, random: np.random.Generator) -> MadeLog:
    """Return a Parquet file, compressed in one way or another."""
    import polars as pl

    rows = rows_of(random)
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    if random.random() < 0.3:
        frame = frame.with_columns(pl.col("item_id").cast(pl.Categorical))
    content = io.BytesIO()
    compression = ("zstd", "snappy", "uncompressed", "gzip")[int(random.integers(4))]
    frame.write_parquet(content, compression=compression, row_group_size=int(random.integers(2, 50)))
    return MadeLog(rows, content.getvalue(), "log.parquet", "parquet")


def sequence(kind: str, random: np.random.Generator) -> MadeLog:
    """Return histories as lines of words."""
    rows, histories = [(user.replace(" ", "_"), item, 0) for user, item, _ in rows_of(random)], {}
    for user, item, _ in rows:
        histories.setdefault(user, []).append(item)
    mark = " : " if kind == "sequence-colon" else " "
    lines = [f"{user}{mark}{' '.join(items)}" for user, items in histories.items()]
    rows = [(user, item, 0) for user, items in histories.items() for item in items]
    return MadeLog(rows, ("\n".join(lines) + "\n").encode(), "log.txt", kind)


def pairs(kind: str, random: np.random.Generator) -> MadeLog:
    """Return one `user item` a line."""
    rows = [(user.replace(" ", "_"), item, 0) for user, item, _ in rows_of(random)]
    return MadeLog(rows, "".join(f"{user} {item}\n" for user, item, _ in rows).encode(), "log.txt", "pairs")


KINDS: dict[str, Callable[[str, np.random.Generator], MadeLog]] = {
    **dict.fromkeys(DELIMITERS, delimited), "recbole": recbole, "jsonl": json_lines, "parquet": parquet,
    "sequence": sequence, "sequence-colon": sequence, "pairs": pairs,
}  # fmt: skip


def pack(content: bytes, how: str) -> tuple[bytes, str]:
    """Return content packed as `.gz` or `.zst`, or recoded, and the ending of its file's name."""
    if how == "gz":
        return gzip.compress(content), ".gz"
    if how == "zst":
        import pyarrow

        return pyarrow.compress(content, "zstd", asbytes=True), ".zst"
    if how == "utf-16":
        return content.decode().encode("utf-16"), ""
    return (b"\xef\xbb\xbf" + content, "") if how == "mark" else (content, "")


def write_log(made: MadeLog, content: bytes, how: str, folder: Path) -> Path:
    """Write a log's content, packed, and return its path."""
    packed, ending = pack(content, how)
    path = folder / (made.name + ending)
    path.write_bytes(packed)
    return path
