"""Requests: histories, users, allow and deny lists, as Python objects and as files.

Tried: ids of every type and none, nested, unordered and endless collections, items nobody knows, `k` of every size;
files of histories and lists with lines damaged, values of other types, deep JSON, bytes that are no text.

Found wrong: anything but one line, or lists that hold only what may be recommended: known items, none of the history,
all of `allow` and none of `deny`, the best first, at most k.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from faults.cases import Case, Outcome, prepare_nothing, wordless

NUMBERS = {"Python objects": 600, "similar items": 100, "file of histories": 300, "list of ids": 200}
SECONDS, MEMORY = 20.0, 1 << 28
prepare = prepare_nothing


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the kinds, as often as each is tried."""
    for name, number in NUMBERS.items():
        yield from [(name, {})] * max(3, round(scale * number))


@cache
def _recommender(run: Path) -> Any:
    from mltfr import Recommender

    return Recommender.load(run)


def attempt(case: Case) -> Outcome:
    """Ask, and look at the answer."""
    from mltfr.errors import MltfrError

    warnings.simplefilter("ignore")
    case.scratch.mkdir(parents=True)
    random, run = case.random(), _recommender(case.material / "fitted")
    told: dict[str, Any] = {}
    try:
        if case.kind == "similar items":
            told = {"item": _id(random), "k": _k(random)}
            found = run.similar_items(told["item"], told["k"])
            return Outcome("answered", "" if len(found) <= told["k"] else f"{told}: more than k")
        if case.kind == "Python objects":
            told = _objects(random)
            found = run.recommend(**told)
            return Outcome("answered", _wrong(found, told, run))
        path = case.scratch / ("histories.jsonl" if case.kind == "file of histories" else "ids.txt")
        path.write_bytes(_histories(random) if case.kind == "file of histories" else _list(random))
        return Outcome("answered", _ask(case, path))
    except MltfrError as error:
        return Outcome("refused, one line", wordless(error, f"{told!r}: "))
    except Exception as error:
        error.add_note(f"asked: {told!r}"[:300])
        raise


def _ask(case: Case, path: Path) -> str:
    """Ask on the command line, here; return what is wrong with the answer."""
    import polars as pl

    from faults.folders import here
    from faults.jobs import command

    option = ["--histories", str(path)]
    if case.kind == "list of ids":
        option = [("--users", "--allow", "--deny")[case.number % 3], str(path)]
    out = case.scratch / "lists.csv"
    here(case.scratch, command("recommend", str(case.material / "fitted"), "--out", str(out), "-k", "4", *option))
    os.chdir("/")
    found = pl.read_csv(out, infer_schema=False)
    return "" if found.columns == ["user_id", "rank", "item_id", "score"] else f"columns {found.columns}"


def _wrong(found: Any, asked: dict[str, Any], run: Any) -> str:
    known, k = set(run.fitted.split.vocabulary.item_ids), asked["k"]
    items = set(found["item_id"])
    told = f"{asked!r}"[:300]
    if not items <= known:
        return f"{told}: unknown items {sorted(items - known)[:3]}"
    if found["rank"].len() and int(found["rank"].max()) > int(k):
        return f"{told}: more than k"
    if isinstance(asked.get("deny"), list) and items & set(map(str, asked["deny"])):
        return f"{told}: denied items"
    if isinstance(asked.get("allow"), list) and not items <= {str(item).strip() for item in asked["allow"]}:
        return f"{told}: items that are not allowed"
    lists = zip(found["rank"], found["score"], strict=True)
    disordered = any(rank > 1 and score > before for (_, before), (rank, score) in pairwise(lists))
    return f"{told}: not the best first" if disordered else ""


def _id(random: np.random.Generator) -> Any:
    values: list[Any] = [
        "i1", "i2", "u3", "i19", " i1 ", "", " ", None, 1, 1.0, 1.5, float("nan"), True, b"i1", "\0", "i1\n", "x" * 999,
        np.int64(3), np.float32(2), np.str_("i4"), ["i1"], {"i1": 1}, 10**400, -1, "\ud800", "i1\x1b[0m", ("i1",),
    ]  # fmt: skip
    weights = np.array([12.0] * 4 + [1.0] * (len(values) - 4))
    return values[int(random.choice(len(values), p=weights / weights.sum()))]


def _ids(random: np.random.Generator) -> Any:
    found = [_id(random) for _ in range(int(random.integers(0, 6)))]
    what = int(random.integers(16))
    if what > 8:
        return [each for each in found if isinstance(each, str)]
    plain = [each for each in found if isinstance(each, str)]
    return [found, set(plain), tuple(found), iter(found), "i1", None, 5, dict.fromkeys(plain), np.array(plain)][what]


def _k(random: np.random.Generator) -> Any:
    return [5, 5, 5, 1, 0, -3, 10**6, 2**70, 1.5, "5", None, True][int(random.integers(12))]


def _objects(random: np.random.Generator) -> dict[str, Any]:
    asked: dict[str, Any] = {"k": _k(random) if random.random() < 0.2 else 3}
    what = random.random()
    if what < 0.4:
        asked["histories"] = [_ids(random) for _ in range(int(random.integers(0, 4)))]
    elif what < 0.6:
        asked["histories"] = {f"u{n}": _ids(random) for n in range(int(random.integers(0, 4)))}
    elif what < 0.9:
        asked["users"] = _ids(random)
    else:
        asked["histories"] = [{"a"}, "text", 5, [[["i1"]]], {"u": {"a": 1}}, iter([["i1"]])][int(random.integers(6))]
    for name in ("allow", "deny"):
        if random.random() < 0.3:
            asked[name] = _ids(random)
    if random.random() < 0.1:
        asked["index"] = ["exact", "dense", "none", None, 5][int(random.integers(5))]
    if random.random() < 0.2:
        asked["include_seen"] = [True, False, None, "yes"][int(random.integers(4))]
    return asked


def _histories(random: np.random.Generator) -> bytes:
    lines = [json.dumps({"user_id": f"u{n}", "items": [f"i{random.integers(25)}"] * 2}).encode() for n in range(5)]
    wrong = [
        b"", b"null", b"[]", b"5", b'"x"', b"{", b'{"user_id": "a"}', b'{"user_id": "u1", "items": ["i1"]}',
        b'{"user_id": null, "items": []}', b'{"user_id": "a", "items": "i1"}', b'{"user_id": "a", "items": [["i1"]]}',
        b'{"user_id": "a", "items": [NaN, Infinity]}', b'{"user_id": 1.5, "items": [1.0, 2]}', b"[" * 100_000,
        b'{"user_id": ' + b"9" * 5000 + b', "items": []}', b'{"user_id": "\\ud800", "items": ["\\udfff"]}', b"\xff\xfe",
        b'{"user_id": "a", "items": ["i1"], "more": 1}', b'{"user_id": "a", "user_id": "b", "items": []}', b"\0",
        b'{"user_id": "  ", "items": ["  "]}', b'{"user_id": " u9 ", "items": [" i1 "]}',
        b'{"user_id": true, "items": []}',
        b'{"user_id": "z", "items": ' + b"[" * 30_000, b'{"user_id": "q", "items": []}', b"\xef\xbb\xbf" + lines[0],
    ]  # fmt: skip
    for _ in range(int(random.integers(0, 3))):
        lines.insert(int(random.integers(len(lines))), wrong[int(random.integers(len(wrong)))])
    content = b"\n".join(lines) + b"\n"
    if random.random() < 0.2:
        content = content[: int(random.integers(len(content)))]
    return content


def _list(random: np.random.Generator) -> bytes:
    lines = [f"{random.choice(['u', 'i'])}{random.integers(20)}".encode() for _ in range(4)]
    wrong = [b"", b" ", b"\xff", b"\0", b"x" * 200_000, b" u1 ", b"u1,u2", b"\x1b[31m", b"\xef\xbb\xbfu2", b"1", b"\r"]
    for _ in range(int(random.integers(0, 3))):
        lines.insert(int(random.integers(len(lines))), wrong[int(random.integers(len(wrong)))])
    return b"\n".join(lines)
