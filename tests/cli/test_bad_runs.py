"""Run folders that are none, and what `recommend` cannot read or write."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from support.command_line import FIT, refused, run
from support.manifests import change_sealed

RUN_FILES = ("weights.safetensors", "items.parquet", "histories.parquet", "examples.parquet", "metrics.json",
             "log.jsonl", "config.toml")  # fmt: skip


def test_out_that_is_taken(tmp_path: Path, store: Path, finished: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "histories.jsonl").write_text("{}\n")

    def fit(out: Path) -> str:
        return refused(tmp_path, store, "fit", finished / "log.csv", "--out", out, *FIT)

    assert "run: holds a finished run. Look at it: mltfr evaluate " in fit(finished / "run")
    assert "taken: is not empty and not a run" in fit(tmp_path / "taken")
    assert "log.csv: is a file. Give --out the name of a new folder" in fit(finished / "log.csv")
    assert "log.csv/run: cannot be made (Not a directory)" in fit(finished / "log.csv" / "run")
    assert "run: holds files that are not a demo's" in refused(tmp_path, store, "demo", "--out", finished / "run")
    assert "log.csv: is a file" in refused(tmp_path, store, "demo", "--out", finished / "log.csv")


@pytest.mark.parametrize("place", ["run", "run/histories.parquet", "."])
def test_a_run_is_no_log(tmp_path: Path, store: Path, finished: Path, place: str) -> None:
    for command in (["data", "describe"], ["fit", "--out", tmp_path / "new"],
                    ["recommend", finished / "run", "--out", "-", "--histories"]):  # fmt: skip
        said = refused(tmp_path, store, *command, finished / place)
        assert f"{finished / 'run'}: is a run of mltfr, and no interaction log. Give the log itself (log.csv)." in said
        assert f"To look at the run: mltfr evaluate {finished / 'run'}" in said


def change_manifest(change: Callable[[dict], object]) -> Callable[[Path], None]:
    return lambda folder: change_sealed(folder / "manifest.json", change)


def cut(name: str, checksum: bool = False) -> Callable[[Path], None]:
    """Cut a file in half; `checksum` makes the manifest agree, as if it had been written so."""

    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2] + b"{")  # no whole lines, wherever they end
        if checksum:
            found = sha256((folder / name).read_bytes()).hexdigest()
            change_manifest(lambda manifest: manifest["files"].update({name: found}))(folder)

    return damage


def interrupt(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "checkpoint").mkdir()


RUNS: dict[str, tuple[Callable[[Path], None], str]] = {
    "another version": (change_manifest(lambda m: m.update(format=99, mltfr="9.9")),
                        r"run: written in run format 99 by mltfr 9.9; this is mltfr .*reads format 1. Fit the recomm"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), r"run: not a run folder \(manifest.json is mi"),
    "cut manifest": (cut("manifest.json"), r"run/manifest.json: damaged"),
    "empty manifest": (lambda f: (f / "manifest.json").write_text(""), r"run/manifest.json: damaged.*Fit the recommen"),
    "another document": (lambda f: (f / "manifest.json").write_text("[]"), r"run/manifest.json: damaged"),
    "manifest without tables": (change_manifest(lambda m: m.pop("tables")), r"manifest.json: damaged.*lacks 'tables'"),
    "manifest without split": (change_manifest(lambda m: m.pop("split")), r"run: damaged.*lacks 'split'"),
    "interrupted": (interrupt, r"run: this run was interrupted. Finish it: mltfr fit ... --resume"),
    **{f"cut {name}": (cut(name), rf"run/{name}: damaged \(its checksum differs") for name in RUN_FILES},
    **{f"wrong {name}": (cut(name, checksum=True), r"run.*: damaged, or of another version") for name in RUN_FILES},
    **{f"no {name}": (lambda folder, name=name: (folder / name).unlink(), rf"run/{name}: missing, though the manifes")
       for name in RUN_FILES},
}  # fmt: skip


@pytest.mark.parametrize("case", RUNS)
def test_damaged_runs(tmp_path: Path, store: Path, finished: Path, case: str) -> None:
    damage, message = RUNS[case]
    shutil.copytree(finished / "run", tmp_path / "run")
    damage(tmp_path / "run")
    assert re.search(message, refused(tmp_path, store, "evaluate", tmp_path / "run"))
    out = ("--out", tmp_path / "best.csv")
    assert re.search(message, refused(tmp_path, store, "recommend", tmp_path / "run", *out))


def test_evaluating_what_is_no_run(tmp_path: Path, store: Path, finished: Path) -> None:
    assert "none: no such folder" in refused(tmp_path, store, "evaluate", tmp_path / "none")
    assert "log.csv: is a file, and no run folder" in refused(tmp_path, store, "evaluate", finished / "log.csv")
    error = refused(tmp_path, store, "evaluate", finished / "run", "--split", "tset")
    assert "Unknown split 'tset'. Did you mean 'test'? Known: test, validation." in error


@pytest.mark.parametrize("state", ["{", "[]", '{"tensors": "x.safetensors", "sha256": ""}'])
def test_a_damaged_checkpoint(tmp_path: Path, store: Path, finished: Path, state: str) -> None:
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    (tmp_path / "run" / "checkpoint" / "state.json").write_text(state)
    arguments = ("fit", finished / "log.csv", "--out", tmp_path / "run", *FIT)
    assert "holds an interrupted run. Continue it with --resume" in refused(tmp_path, store, *arguments)
    error = refused(tmp_path, store, *arguments, "--resume")
    assert re.search(r"state.json: damaged.*Remove the run folder and start again without --resume", error)


EXPECTED = r'expected \{"user_id": "u1", "items": \["a", "b"\]\}'
HISTORIES: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("[u1 i1 i2\n", r"asked, line 1: found \[u1 i1 i2, which is not JSON; " + EXPECTED),
    "one word": ("u1\n", r"asked: line 1 is 'u1', of no known format. Expected CSV or TSV"),
    "other columns": ("a,b\n1,2\n", r"asked: no user column among 'a', 'b'"),
    "an event without an item": ("user_id,item_id\nu1,\n", r"asked, line 2: item_id is empty.* --item-column"),
    "cut": ('{"user_id": "a", "items": ["i1"]}\n{"user_id": "b", "ite', r"asked, line 2: found .*not JSON"),
    "no items": ('{"user_id": "a"}\n', r'asked, line 1: found \{"user_id": "a"\}; ' + EXPECTED),
    "a key twice": ('{"user_id": "a", "items": ["i1"], "items": []}\n', r"asked, line 1: found .*" + EXPECTED),
    "items in a text": ('{"user_id": "a", "items": "i1"}\n', r"asked, line 1: found .*" + EXPECTED),
    "an array": ('[{"user_id": "a", "items": []}]', r"asked, line 1: a JSON array; " + EXPECTED),
    "a list": ('["a", []]', r"asked, line 1: found .*" + EXPECTED),
    "null": ('{"user_id": null, "items": ["i1"]}\n', r"asked, line 1: found null, but ids are texts or whole numbers"),
    "a float": ('{"user_id": "a", "items": [1.5]}\n', r"asked, line 1: found 1.5, but ids are texts or whole numbers"),
    "a truth": ('{"user_id": true, "items": ["i1"]}\n', r"asked, line 1: found true, but ids"),
    "an empty id": ('{"user_id": "", "items": ["i1"]}\n', r'asked, line 1: found "", but ids'),
    "a user twice": ('{"user_id": "a", "items": []}\n\n{"user_id": "a", "items": []}', r"asked, line 3: user 'a' com"),
    "depth": ("[" * 100_000, r"asked, line 1: found \[\[.*not JSON"),
    "nothing": ("\n", r"asked: empty. Give one JSON object a line"),
    "no text": (b"\xff\x00", r"asked: binary content of no known format"),
    "half of UTF-16": (b"\xff\xfe\x00", r"asked, line 1: not UTF-16"),
    "a cut gzip": (gzip.compress(b'{"user_id": "a", "items": []}\n')[:-9], r"asked: the compressed file is truncated"),
    "an empty file": ("", r"asked: empty. Give one JSON object a line"),
}  # fmt: skip


@pytest.mark.parametrize("case", HISTORIES)
def test_histories(tmp_path: Path, store: Path, finished: Path, case: str) -> None:
    content, message = HISTORIES[case]
    (tmp_path / "asked").write_bytes(content if isinstance(content, bytes) else content.encode())
    options = ("--histories", tmp_path / "asked", "--out", tmp_path / "best.csv")
    assert re.search(message, refused(tmp_path, store, "recommend", finished / "run", *options))


LISTS: dict[str, tuple[str, bytes, str]] = {
    "unknown user": ("--users", b"\nnobody\n", r"asked: user 'nobody' is not in the training log.*--histories FILE"),
    "unknown users": ("--users", b"none\nnobody\n", r"asked: user 'none' .*\(2 of 2 are not\)"),
    "unknown allowed items": ("--allow", b"zz\nyy\n", r"None of the 2 items of allow occurs .*\(first: 'zz'\)"),
    "no user": ("--users", b"\n", r"asked: empty. Give one id a line"),
    "nothing": ("--users", b"", r"asked: empty. Give one id a line"),
    "no text": ("--users", b"\xff\xfe\x00", r"asked, line 1: not UTF-16, as which the file begins"),
    "other text": ("--deny", b"caf\xe9\n", r"asked, line 1: byte 0xe9 is not UTF-8"),
    "Parquet": ("--allow", b"PAR1\x15\xff", r"asked: a Parquet file. Expected text, one id or word a line"),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_of_ids(tmp_path: Path, store: Path, finished: Path, case: str) -> None:
    option, content, message = LISTS[case]
    (tmp_path / "asked").write_bytes(content)
    options = (option, tmp_path / "asked", "--out", tmp_path / "best.csv")
    assert re.search(message, refused(tmp_path, store, "recommend", finished / "run", *options))


def test_recommend_options(tmp_path: Path, store: Path, finished: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "users").write_text("u1\n")

    def recommend(out: Path, *more: str | Path) -> str:
        return refused(tmp_path, store, "recommend", finished / "run", "--out", out, *more)

    assert "best.xlsx: the ending says the format; expected one of .csv, .parquet, .jsonl" in recommend(
        tmp_path / "best.xlsx"
    )
    assert "folder.csv: is a folder" in recommend(tmp_path / "folder.csv")
    assert "log.csv is no folder to write to" in recommend(finished / "log.csv" / "best.csv")
    assert "cannot be printed" in recommend(tmp_path / "\udcff.csv")
    assert "Invalid value for '-k'" in recommend(tmp_path / "best.csv", "-k", "0")
    assert "Unknown index 'ivff'. Did you mean 'ivf'? Known: dense, exact, ivf." in recommend(
        tmp_path / "best.csv", "--index", "ivff"
    )
    both = ("--users", tmp_path / "users", "--histories", tmp_path / "users")
    assert "Give --users or --histories, not both." in recommend(tmp_path / "best.csv", *both)
    assert "none: cannot be read (No such file" in recommend(tmp_path / "best.csv", "--users", tmp_path / "none")
    assert "Missing option '--out'. See: mltfr recommend --help" in refused(tmp_path, store, "recommend", "run")


def test_ids_may_hold_what_only_looks_like_a_line_end(tmp_path: Path, store: Path, finished: Path) -> None:
    (tmp_path / "asked").write_text('\ufeff{"user_id": "a\u2028b", "items": ["i1"]}\r\n', encoding="utf-8")
    options = ("--histories", tmp_path / "asked", "--out", tmp_path / "best.CSV")
    run("recommend", finished / "run", *options, home=store)
    assert pl.read_csv(tmp_path / "best.CSV")["user_id"].unique().to_list() == ["a\u2028b"]
