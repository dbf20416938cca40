"""Batch jobs and prepared sets on the command line."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import time

import polars as pl

from support.command_line import FIT, refused, run
from support.forks import Forked


def test_recommend_into_a_folder(tmp_path, store, finished):
    out = tmp_path / "best"
    arguments = ("recommend", finished / "run", "--out", out, "--part-users", "25", "-k", "4")
    done = run(*arguments, home=store)
    assert "60 users, 240 rows written to" in done.stdout
    assert {path.name for path in out.iterdir()} == {"manifest.json", *(f"part-0000{n}.parquet" for n in range(3))}
    again = run(*arguments, "--resume", home=store)
    assert again.stderr.splitlines() == ["3 of 3 parts are finished and kept"]
    assert again.stdout == done.stdout
    error = refused(tmp_path, store, *arguments)
    assert "holds finished recommendations (part-*.parquet). Check them with --resume" in error
    other = refused(tmp_path, store, *arguments, "-k", "5", "--resume")
    assert "best: was begun with another k. Repeat the command that began it with --resume" in other
    named = tmp_path / "best.v2"
    assert "best.v2: the ending says the format" in refused(tmp_path, store, *arguments, "--out", named)
    run(*arguments, "--out", named, "--parts", home=store)
    assert (named / "part-00002.parquet").read_bytes() == (out / "part-00002.parquet").read_bytes()
    error = refused(tmp_path, store, *arguments, "--out", tmp_path / "best.csv", "--resume")
    assert "best.csv: one file is written whole or not at all; --resume needs a folder" in error


def test_histories_from_parquet(tmp_path, store, finished):
    table = pl.DataFrame({"user_id": ["a", "b"], "items": [["i1", "i2"], ["no such item"]]})
    table.write_parquet(tmp_path / "asked.parquet")
    table.write_ndjson(tmp_path / "asked.jsonl")
    texts = []
    for ending in ("parquet", "jsonl"):
        out = tmp_path / f"{ending}.csv"
        done = run("recommend", finished / "run", "--histories", tmp_path / f"asked.{ending}", "--out", out, home=store)
        texts.append((out.read_text(), done.stderr))
    assert texts[0] == texts[1]
    assert "1 item is not in the training data" in texts[0][1]


def test_stopped_it_says_how_to_go_on(tmp_path, store, finished):
    lines = [json.dumps({"user_id": f"n{n}", "items": ["i1"]}) for n in range(60_000)]
    (tmp_path / "many.jsonl").write_text("\n".join(lines))
    out = tmp_path / "best"
    words = ["recommend", str(finished / "run"), "--histories", str(tmp_path / "many.jsonl"), "--out", str(out)]
    process = Forked(*words, "--part-users", "50", said=tmp_path, environment={"MLTFR_HOME": str(store)})
    deadline = time.monotonic() + 120
    while process.is_alive() and not (out / "part-00001.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send(signal.SIGINT)
    code, output, errors = process.ended()
    assert code == 130, errors
    assert output == ""
    command = shlex.join(["mltfr", *words, "--part-users", "50", "--resume"])
    assert errors.splitlines() == [f"mltfr: stopped; continue with: {command}"]
    assert (out / "part-00001.parquet").exists()
    assert not (out / "manifest.json").exists()


def test_prepare_describe_fit(tmp_path, store, finished):
    folder = tmp_path / "set"
    done = run("data", "prepare", finished / "log.csv", "--out", folder, "--memory", "1M", home=store)
    assert "60 users, 25 items," in done.stdout
    described = json.loads(run("data", "describe", folder, "--json", home=store).stdout)
    log = json.loads(run("data", "describe", finished / "log.csv", "--json", home=store).stdout)
    assert described["fingerprint"] == log["fingerprint"]
    assert "leave-one-out" in run("data", "describe", folder, home=store).stdout
    run("fit", folder, "--out", tmp_path / "run", *FIT, home=store)
    for name in ("weights.safetensors", "histories.parquet", "config.toml"):
        assert (tmp_path / "run" / name).read_bytes() == (finished / "run" / name).read_bytes()


def test_what_is_wrong_with_sets_is_said_in_one_line(tmp_path, store, finished):
    log, folder = finished / "log.csv", tmp_path / "set"
    run("data", "prepare", log, "--out", folder, "--set", "filters.core=2", home=store)
    out = ("--out", tmp_path / "run", *FIT)
    error = refused(tmp_path, store, "fit", folder, *out, "--set", "filters.core=3")
    assert "filters.core is 3, but" in error
    assert "was prepared with 2" in error
    assert "is a prepared set" in refused(tmp_path, store, "fit", folder, *out, "--skip-invalid")
    prepare = ("data", "prepare", log, "--out", tmp_path / "other")
    error = refused(tmp_path, store, "data", "prepare", log, "--out", folder)
    assert f"holds a finished prepared set. Use it: mltfr fit {folder} --out RUN." in error
    error = refused(tmp_path, store, *prepare, "--set", "filter.core=2")
    assert "unknown setting 'filter'. Did you mean 'filters'?" in error
    assert "memory is 'x'" in refused(tmp_path, store, *prepare, "--memory", "x")
    assert "no interaction is left after 'core'" in refused(tmp_path, store, *prepare, "--set", "filters.core=99")
    (folder / "offsets.npy").write_bytes(b"")
    for command in (("fit", folder, *out), ("data", "describe", folder)):
        assert "offsets.npy: damaged" in refused(tmp_path, store, *command)
    (folder / "manifest.json").unlink()
    assert "this prepared set is not finished" in refused(tmp_path, store, "fit", folder, *out)
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("items", "histories"):
        shutil.copy(finished / "run" / f"{name}.parquet", parts)
    assert "All parts must have the same columns" in refused(tmp_path, store, "fit", parts, *out)
