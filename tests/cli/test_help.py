"""Help names what there is, and the command line imports torch only where it must."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mltfr.cli.main import _commands, app
from mltfr.interactions import FORMATS
from mltfr.pipeline import RunConfig
from support.command_line import made_command, run

TOY = '''
from mltfr.{room} import {base}, {base}Config, register_{kind}

@register_{kind}("toy-{kind}", {base}Config)
class Toy({base}):
    """A {kind} [in] one new file."""
'''
WITH_TOYS = """
import importlib, os, sys
for room in ("backbones", "baselines", "fusion", "losses", "objectives"):
    importlib.import_module(f"mltfr.{room}").__path__.append(f"{sys.argv[1]}/{room}")
columns = sys.argv[2:]
sys.argv = ["mltfr", "fit", "--help"]
from mltfr.cli.main import main
for os.environ["COLUMNS"] in columns:
    try:
        main()
    except SystemExit:
        print(end="\\f")
"""
WITHOUT_TORCH = """
import sys
from mltfr.cli.main import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""
HEAVY = {"torch", "numpy", "scipy", "polars", "pydantic", "safetensors", "gguf", "zstandard", "pandas", "jinja2"}
ALONE = "import sys, mltfr; print(*sys.modules)"
HELP = """
import sys
sys.argv = ["mltfr", "--help"]
from mltfr.cli.main import main
try:
    main()
finally:
    print(*sys.modules)
"""


def python(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_a_part_in_a_new_file_is_in_the_help(tmp_path: Path) -> None:
    for room, kind, base in (
        ("backbones", "backbone", "Backbone"), ("baselines", "baseline", "Baseline"),
        ("fusion", "fusion", "Fusion"), ("losses", "loss", "Loss"), ("objectives", "objective", "Objective"),
    ):  # fmt: skip
        (tmp_path / room).mkdir()
        (tmp_path / room / "toy.py").write_text(TOY.format(room=room, kind=kind, base=base))
    widths = (80, 120)
    texts = python(WITH_TOYS, tmp_path, *map(str, widths)).stdout.split("\f")
    assert texts[0] != texts[1]
    for columns, text in zip(widths, texts[:-1], strict=True):
        for kind, heading, known in (
            ("backbone", "Backbones (--backbone NAME):", "sasrec"),
            ("baseline", "Baselines without training (--backbone NAME):", "popularity"),
            ("fusion", "Fusions (--fusion NAME):", "none"),
            ("loss", "Losses (--set loss.name=NAME):", "bce"),
            ("objective", "Objectives (--set objective.name=NAME):", "duorec"),
        ):
            listed = text.partition(heading)[2].partition("\n\n")[0]
            assert re.search(rf"^  toy-{kind} +A {kind} \[in\] one new file\.$", listed, re.MULTILINE), text
            assert re.search(rf"^  {known}  ", listed, re.MULTILINE), text
            if kind == "fusion":
                assert re.search(r"^  random +Control: mltfr on Gaussian rows", listed, re.MULTILINE), text
                assert re.search(r"^  shuffled +Control: mltfr on tables", listed, re.MULTILINE), text
        assert max(map(len, text.splitlines())) <= columns


def test_help_tells_the_defaults_and_the_formats(store: Path) -> None:
    text = re.sub(r"[\s│]+", " ", run("fit", "--help", home=store).stdout)
    config = RunConfig()
    epochs, first = config.training.epochs, config.training.first_round_epochs
    for default in (config.backbone.name, config.fusion.name, ",".join(config.tokens.tables), config.seed,
                    f"{epochs}, or {first} + {epochs} in two rounds"):  # fmt: skip
        assert f"[default: ({default})]" in text
    for name in FORMATS:
        assert name in text


@pytest.mark.parametrize(("arguments", "code"), [
    (("--help",), 0),
    (("--version",), 0),
    (("evaluate", "--help"), 0),
    (("fit",), 2),
    (("tokens", "list"), 0),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else None)  # fmt: skip
def test_torch_is_not_imported(arguments: tuple[str, ...], code: int) -> None:
    done = python(WITHOUT_TORCH, *arguments)
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize(("script", "more"), [(ALONE, {"typer", "rich", "subprocess"}), (HELP, set())])
def test_importing_and_asking_for_help_load_little(script: str, more: set[str]) -> None:
    loaded = set(python(script).stdout.splitlines()[-1].split())
    assert "mltfr" in loaded
    assert not (HEAVY | more) & loaded


HELPED = [path.removeprefix("mltfr ") for path in _commands("mltfr", made_command(app))]


@pytest.mark.parametrize("command", HELPED)
def test_help_begins_with_what_most_people_need(store: Path, command: str) -> None:
    lines = [line.strip() for line in run(*command.split(), "--help", home=store).stdout.splitlines() if line.strip()]
    place = next(number for number, line in enumerate(lines) if line.startswith("Usually: `mltfr "))
    assert place <= 3
    assert lines[place].startswith((f"Usually: `mltfr {command} ", f"Usually: `mltfr {command}`"))
