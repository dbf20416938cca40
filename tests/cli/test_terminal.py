"""What ids, file names and tokens hold is shown on a terminal, and never obeyed; files keep the true text."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mltfr.cli import output
from mltfr.storage.progress import ConsoleProgress
from mltfr.storage.terminal import printable
from support.command_line import FIT, run

EVIL = (
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\\\click", "\x9b2J", "a\x08b", "\x7f",
    "\u202egpj.exe", "\u2066x\u2069", "\u200b", "\ufeffq", "\U000e0041",
    "[red]x[/red]", "[link=http://x]y[/link]", "[/]", ":smile:",
)  # fmt: skip
"""Escape sequences, control and direction characters, rich's markup."""
RAW = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def clean(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed, after looking for what a terminal would obey."""
    for text in (done.stdout, done.stderr):
        assert RAW.findall(text) == []
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evil") / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "item_id", "timestamp"))
        for user in range(30):
            for step in range(5):
                writer.writerow((f"{EVIL[user % len(EVIL)]}{user}", f"i{EVIL[(user + step) % len(EVIL)]}.", step))
    return path


def test_ids(tmp_path: Path, store: Path, log: Path) -> None:
    clean(run("fit", log, "--out", tmp_path / "run", *FIT, home=store))
    assert "30" in clean(run("data", "describe", log, home=store))
    out = tmp_path / "out.csv"
    (tmp_path / "deny.txt").write_text("\n".join(f"unknown{text}" for text in EVIL), "utf-8")
    warned = clean(run("recommend", tmp_path / "run", "--out", out, "--deny", tmp_path / "deny.txt", home=store))
    assert r"unknown\x1b[31mred\x1b[0m" in warned
    with out.open(newline="") as file:
        items = {row["item_id"] for row in csv.DictReader(file)}
    assert items == {f"i{text}." for text in EVIL}
    for text in EVIL:
        (tmp_path / "users.txt").write_text(f"nobody{text}.", "utf-8")
        arguments = ("--out", tmp_path / "o.csv", "--users", tmp_path / "users.txt")
        refused = clean(run("recommend", tmp_path / "run", *arguments, home=store, check=False))
        assert "nobody" in refused


@pytest.mark.slow
def test_places_and_settings(tmp_path: Path, store: Path, log: Path) -> None:
    for number, text in enumerate(EVIL):
        place = tmp_path / f"x{text.replace('/', '_')}{number}.csv"
        done = run("fit", place, "--out", tmp_path / "run", *FIT, home=store, check=False)
        assert printable(place.name) in clean(done)
        place.write_bytes(log.read_bytes())
        described = clean(run("data", "describe", place, home=store)).replace("\n", "")
        assert printable(f"{number}.csv") in described
        for option in (("--set", f"a{text}=1"), ("--backbone", text), ("--tokens", text), (f"--o{text}", "1")):
            done = run("fit", log, "--out", tmp_path / "run", *FIT, *option, home=store, check=False)
            assert done.returncode == 2
            clean(done)


def test_tokens(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.random.default_rng(0).normal(size=(len(EVIL), 4)).astype(np.float32))
    (tmp_path / "vocabulary.json").write_text(json.dumps([f"t{text}" for text in EVIL]))
    home = tmp_path / "home"
    vocabulary = ("--vocabulary", tmp_path / "vocabulary.json")
    clean(run("tokens", "import", "evil", tmp_path / "table.npy", *vocabulary, home=home))
    for command in (("tokens", "list"), ("tokens", "show", "evil"), ("tokens", "nearest", "evil", f"t{EVIL[0]}")):
        clean(run(*command, home=home, check=False))


def test_tables_wrap(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    output.print_table(EVIL[0], ["a", EVIL[1]], [[text, text] for text in EVIL], caption=EVIL[2])
    output.print_list(["a", EVIL[1]], [[text * 20, text] for text in EVIL])
    output.print_facts(EVIL[0], {text: text * 9 for text in EVIL})
    output.say("two\nlines" + EVIL[0])
    printed = capsys.readouterr().out
    assert RAW.findall(printed) == []
    assert max(map(len, printed.split("\n"))) <= 40
    assert "two\nlines\\x1b[31m" in printed
    for text in ("[red]x[/red]", ":smile:", r"\u202egpj.exe"):
        assert text in printed


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ConsoleProgress(EVIL[0])
    for text in EVIL:
        progress.message(text)
    assert RAW.findall(capsys.readouterr().err) == []
    progress.console = Console(force_terminal=True, stderr=True, color_system=None)
    progress.start(EVIL[1], 3)
    progress.close()
    assert "title\x07" not in capsys.readouterr().err


def test_what_is_no_danger_stays() -> None:
    for text in ("Käse 漢字 עברית 👩‍👩‍👧 नमस्ते", "a b", "C:\\x1b"):
        assert printable(text) == text
    assert printable("a\tb\nc\udcff") == r"a\tb\nc\udcff"
