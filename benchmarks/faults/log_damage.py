"""What happens to logs on their way: bytes lost, marks put in, fields moved, bombs, lies about their length."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from faults.made_logs import MadeLog

Change = Callable[[bytes, MadeLog, np.random.Generator], bytes]


def _insert(content: bytes, place: int, what: bytes) -> bytes:
    return content[:place] + what + content[place:]


def _anywhere(*what: bytes) -> Change:
    def change(content: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
        for _ in range(int(random.integers(1, 4))):
            place = int(random.integers(len(content) + 1))
            content = _insert(content, place, what[int(random.integers(len(what)))])
        return content

    return change


def _in_a_line(alter: Callable[[bytes, MadeLog, np.random.Generator], bytes], least: int = 1) -> Change:
    def change(content: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
        lines = content.split(b"\n")
        if len(lines) <= least + 1:
            return content
        place = int(random.integers(least, len(lines) - 1))
        lines[place] = alter(lines[place], made, random)
        return b"\n".join(lines)

    return change


def _flip(content: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    found = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        found[int(random.integers(len(found)))] ^= 1 << int(random.integers(8))
    return bytes(found)


def _cut(content: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    return content[: int(random.integers(len(content)))]


def _field(line: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    mark = made.delimiter.encode() or b" "
    fields = line.split(mark)
    which = int(random.integers(len(fields)))
    long = b"x" * 140_000
    new = (b"", b" ", long, b'"' + long + b'"', b"\xff\xfe", b"NaN", b"1e400", b"-1", b"9" * 5000, b"\x1b[31m")
    fields[which] = new[int(random.integers(len(new)))]
    return mark.join(fields)


def _quote(line: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    return _insert(line, int(random.integers(len(line) + 1)), b'"')


def _more(line: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    return line.rstrip(b"\r") + (made.delimiter.encode() or b" ") + b"more"


def _fewer(line: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    return line.rpartition(made.delimiter.encode() or b" ")[0]


def _lines(content: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    what = int(random.integers(5))
    if what == 0:
        return b"\n".join(lines[:1]) + b"\n"
    if what == 1:
        return b"\n".join(lines[1:])
    if what == 2:
        return b"\n\n" + b"\n \n".join(lines)
    return b"\n".join([lines[0], *lines]) if what == 3 else lines[0] + b"," * 70_000 + b"\n" + b"\n".join(lines[1:])


def _json(line: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    new = (
        b"[" * 100_000, b'{"a":' * 50_000, b'{"user_id": NaN}', b"null",
        b'{"user_id": ' + b"9" * 5000 + b', "item_id": 1}',
        b'{"user_id": "\\ud800", "item_id": "i1", "timestamp": 1}',
        b'{"user_id": {"a": 1}, "item_id": [], "timestamp": true}',
        b'{"user_id": "a\\u0000b", "item_id": "i1", "timestamp": 3}',
        b'{"user_id": 1.5, "item_id": 1e300, "timestamp": 1}',
    )  # fmt: skip
    return new[int(random.integers(len(new)))]


def _noise(content: bytes, made: MadeLog, random: np.random.Generator) -> bytes:
    return random.bytes(int(random.integers(1, 400)))


CHANGES: dict[str, Change] = {
    "byte flipped": _flip,
    "cut": _cut,
    "quote put in": _anywhere(b'"', b'""', b'\\"', b"'"),
    "stray quote in a line": _in_a_line(_quote),
    "marks put in": _anywhere(b"\0", b"\r", b"\xff", b"\x1a", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\n", b"\t", b","),
    "a field replaced": _in_a_line(_field),
    "a field too many": _in_a_line(_more),
    "a field too few": _in_a_line(_fewer),
    "lines lost or doubled": _lines,
    "a line of JSON": _in_a_line(_json, 0),
    "noise": _noise,
}  # fmt: skip


def strange_file(number: int, folder: Path) -> Path:
    """Write something that is no log at all, and return its path: bombs, devices, links that lead nowhere."""
    path = folder / "log.csv"
    head = b"user_id,item_id,timestamp\n"
    what = number % 12
    if what == 0:
        path.symlink_to(path)
    elif what == 1:
        path.symlink_to("/dev/zero")
    elif what == 2:
        os.mkfifo(path)
    elif what == 3:
        path.mkdir()
        (path / "loop").symlink_to(path)
    elif what == 4:  # a gzip bomb: 4 GB of one row
        packed = io.BytesIO()
        member = gzip.compress(head + b"u1,i1,1\n" * (1 << 19), 9)
        packed.write(member * 1000)
        path = folder / "log.csv.gz"
        path.write_bytes(packed.getvalue())
    elif what == 5:
        import zstandard

        path = folder / "log.csv.zst"
        frame = zstandard.ZstdCompressor(level=19).compress(head + b"0" * (1 << 26))
        path.write_bytes(frame * 60)
    elif what == 6:
        path.write_bytes(b"PAR1" + b"\xff" * 100 + b"\xff\xff\xff\x7fPAR1")
    elif what == 7:
        path.write_bytes(b"\x1f\x8b\x08\0" + b"\0" * 20)
    elif what == 8:
        path.write_bytes(b"\x28\xb5\x2f\xfd" + b"\xff" * 20)
    elif what == 9:
        path.write_bytes(head + json.dumps({"a": 1}).encode())
    elif what == 10:
        path.symlink_to("/dev/null")
    else:
        path.write_bytes(head.replace(b"\n", b",") * 20_000)
    return path
