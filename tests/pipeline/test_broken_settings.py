"""Whatever a settings file, a study file or a `KEY=VALUE` text holds: settings, or one line that refuses them."""

from __future__ import annotations

import random
from pathlib import Path

from mltfr.config import dump_toml, load_toml
from mltfr.errors import MAX_MESSAGE, MltfrError
from mltfr.pipeline import resolve
from mltfr.study.config import load_study
from mltfr.study.plan import make_plan
from support.small_study import TEXT as STUDY

CASES = 700
VALUES = (
    "0", "-1", "1e400", "-inf", "nan", "true", '""', '"\\u0000"', '"a/../b"', "[]", "{}", "[[[1]]]", "{a = 1}", "0xfff",
    "9223372036854775807", "9223372036854775808", "1" * 400, "1" * 5000, "0x" + "f" * 9000, "1979-05-27T07:32:00Z",
    "07:32:00", "[" * 500 + "]" * 500, "[" * 60 + "]" * 60, "{a = " * 500, '"' + "x" * 9000 + '"', '["a", 1, 2.0]',
    "'\x1b[31m'", "1_000", '"sasrec"', '"none"', '{name = "mltfr"}', "[1, 1, 1]", '"auto"', '"1e3"', "5e-324", "1e308",
)  # fmt: skip
TEXTS = ("\0", "=", "[", "]", "{", "}", '"', "'''", "\n", ".", ",", "#", "\\", "é", "\x1b", "[[a]]\n", "x = 1\n")


def mutated(rng: random.Random, text: str) -> str:
    """Return a TOML text with a few things wrong."""
    lines = text.split("\n")
    for _ in range(rng.randint(1, 3)):
        number = rng.randrange(len(lines))
        key, equals, _value = lines[number].partition(" = ")
        match rng.randrange(7):
            case 0:
                del lines[number]
                lines = lines or [""]
            case 1 if equals:
                lines[number] = f"{rng.choice((key + 'x', 'a.' * 80 + 'a', key + '.name', '<<'))} = 1"
            case 2:
                place = rng.randint(0, len(lines[number]))
                lines[number] = lines[number][:place] + rng.choice(TEXTS) + lines[number][place:]
            case 3:
                lines.insert(rng.randrange(len(lines)), lines[number])
            case _ if equals:
                lines[number] = f"{key} = {rng.choice(VALUES)}"
            case _:
                lines[number] = lines[number].replace("[", "[x.", 1)
    return "\n".join(lines)


def check_refusal(error: MltfrError) -> None:
    assert len(str(error)) <= MAX_MESSAGE + 10
    assert str(error).strip()


def test_broken_settings_files(tmp_path: Path) -> None:
    rng, refused = random.Random(1), 0
    complete = dump_toml(resolve())
    for _ in range(CASES):
        (tmp_path / "x.toml").write_text(mutated(rng, complete), encoding="utf-8", newline="")
        try:
            resolve(file=load_toml(tmp_path / "x.toml"))
        except MltfrError as error:
            check_refusal(error)
            refused += 1
    assert CASES // 3 < refused < CASES


def test_broken_overrides() -> None:
    rng, refused = random.Random(2), 0
    keys = [line.partition(" = ")[0] for line in dump_toml(resolve()).split("\n") if "=" in line]
    parts = ("backbone", "fusion", "training", "loss", "objective", "tokens", "split", "filters", "evaluation", "name")
    for _ in range(CASES):
        texts = []
        for _ in range(rng.randint(1, 3)):
            key = ".".join(rng.choices((*parts, *keys), k=rng.randint(1, 3)))
            value = rng.choice((*VALUES, *TEXTS))
            texts.append(rng.choice((f"{key}={value}", f"{key}={value}", "seed=7", key, f"{key}.{key}=")))
        try:
            resolve(overrides=texts)
        except MltfrError as error:
            check_refusal(error)
            refused += 1
    assert CASES // 3 < refused < CASES


def test_broken_study_files(tmp_path: Path) -> None:
    rng, refused = random.Random(3), 0
    for _ in range(CASES):
        (tmp_path / "x.toml").write_text(mutated(rng, STUDY), encoding="utf-8", newline="")
        try:
            make_plan(load_study(tmp_path / "x.toml"))
        except MltfrError as error:
            check_refusal(error)
            refused += 1
    assert CASES // 3 < refused < CASES
