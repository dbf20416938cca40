"""Settings: `--set` texts, files of settings and study files, made up and damaged.

Tried: every setting with values that it cannot have, names that are nearly right, dotted keys of many levels, values
that are no TOML; whole files with bytes flipped, lost, lines doubled, tables nested deep, numbers of 5,000 digits.

Found wrong: anything but one line, or settings that, written out and read again, are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from faults.cases import Case, Outcome, prepare_nothing, wordless
from faults.jobs import STUDY

NUMBERS = {"--set": 900, "file of settings": 400, "study file": 200}
VALUES = (
    "-1", "0", "1", "1e308", "1e309", "nan", "inf", "-inf", "true", "''", "'x'", "[]", "{}", "[1, 2", "[[[]]]", "null",
    "1.5", "2000-01-01", "0x10", "\x1b[31m", "\u202e", "a b", "'none'", "9" * 5000, "[" * 5000, "{a=" * 3000, "\0", "",
    "'sasrec'", "'mltfr'", "1_000", "-0.0", "{name = 'sasrec'}", "['a', 1]", "=", "\ud800", "x" * 100_000, "'../../x'",
)  # fmt: skip
SECONDS, MEMORY = 20.0, 1 << 28
prepare = prepare_nothing


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the kinds, as often as each is tried."""
    for name, number in NUMBERS.items():
        yield from [(name, {})] * max(3, round(scale * number))


def attempt(case: Case) -> Outcome:
    """Read the settings, and write them out again."""
    from mltfr.config import dump_toml, load_toml
    from mltfr.errors import MltfrError
    from mltfr.pipeline import resolve
    from mltfr.pipeline.config import RunConfig
    from mltfr.study.config import load_study
    from mltfr.study.plan import make_plan

    case.scratch.mkdir(parents=True)
    random, path = case.random(), case.scratch / "given.toml"
    told = ""
    try:
        if case.kind == "--set":
            given = [_override(random) for _ in range(int(random.choice([1, 1, 1, 2])))]
            told = repr(given)[:300]
            config = resolve(overrides=given)
        elif case.kind == "study file":
            path.write_bytes(_damaged(STUDY.encode(), random))
            make_plan(load_study(path))
            return Outcome("accepted")
        else:
            path.write_bytes(_damaged(dump_toml(resolve()).encode(), random))
            config = resolve(file=load_toml(path))
    except MltfrError as error:
        return Outcome("refused, one line", wordless(error, f"{told}: "))
    path.write_text(dump_toml(config))
    again = RunConfig.parse(load_toml(path))
    same = repr(again) == repr(config)  # nan is not equal to itself
    return Outcome("accepted", "" if same else f"{told}: read again they are others")


def _override(random: np.random.Generator) -> str:
    keys = _keys()
    key = keys[int(random.integers(len(keys)))]
    what = random.random()
    if what < 0.1:
        key = key[:-1]
    elif what < 0.15:
        key += "." + keys[int(random.integers(len(keys)))]
    elif what < 0.2:
        key = ("." * 3, "a." * 100_000 + "b", "[a]", "", "'a b'.c", "backbone", "__class__", "\0", "é")[
            int(random.integers(9))
        ]
    value = VALUES[int(random.integers(len(VALUES)))]
    if random.random() < 0.5:
        value = ("1", "2", "0.5", "true", "false", "0.01", "7")[int(random.integers(7))]
    return key if random.random() < 0.03 else f"{key}={value}"


@cache
def _keys() -> list[str]:
    from mltfr.pipeline import resolve

    def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
        for key, value in settings.items():
            if isinstance(value, Mapping):
                yield from flat(value, f"{prefix}{key}.")
            else:
                yield prefix + key

    return list(flat(resolve().model_dump(mode="json")))


def _damaged(content: bytes, random: np.random.Generator) -> bytes:
    what, lines = int(random.integers(7)), content.split(b"\n")
    place = int(random.integers(len(content)))
    line = int(random.integers(len(lines)))
    if what == 0:
        found = bytearray(content)
        found[place] ^= 1 << int(random.integers(8))
        return bytes(found)
    if what == 1:
        return content[:place]
    if what == 2:
        return b"\n".join([*lines[:line], lines[line], *lines[line:]])
    if what == 3:
        key, mark, _ = lines[line].partition(b"=")
        value = VALUES[int(random.integers(len(VALUES)))].encode(errors="surrogatepass")
        lines[line] = key + mark + value if mark else key
        return b"\n".join(lines)
    if what == 4:
        deep = (b"a." * 50_000 + b"b = 1", b"a = " + b"[" * 50_000, b"[" + b"a." * 3000 + b"b]", b"a = " + b"9" * 6000)
        return b"\n".join([deep[int(random.integers(4))], *lines])
    return (b"\xff\xfe" + content, random.bytes(200), b"")[what - 5 + int(random.integers(2))]
