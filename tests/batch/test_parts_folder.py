"""A folder of parts survives a kill at any moment, and is continued by nothing but the same job."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from mltfr.batch import (
    PartScorer,
    PartsFolder,
    RunUsers,
    describe_job,
    locked_parts,
    recommend_to_file,
    recommend_to_folder,
)
from mltfr.errors import OutputError
from mltfr.inference import RecommendationSpec
from mltfr.pipeline import load_inference_model
from mltfr.storage.progress import Progress
from mltfr.training import Interrupted
from support.command_line import run as mltfr

KILLED = """
import json, os, signal, sys
import mltfr.batch, mltfr.pipeline.models
from mltfr.cli.main import main
replace, calls = os.replace, []
def last_words(source, target):
    calls.append(target)
    if len(calls) == number and before:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
for number, before, *words in json.loads(sys.argv[1]):
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    else:
        os.replace, sys.argv = last_words, ["mltfr", *words]
        main()
"""
"""Runs commands, each in a process of its own, and kills it before or after it puts the file of a number in place."""
KILLS = {(1, True): 0, (6, True): 2, (6, False): 2, (7, False): 3}
"""Parts that are finished after a kill; file 1 is job.json, then every part has a record and itself."""
SIZE = 40


@pytest.fixture(scope="module")
def scorer(run) -> PartScorer:
    return PartScorer(load_inference_model(run), RecommendationSpec(5))


def job(run: Path, folder: Path, size: int = SIZE, spec: RecommendationSpec | None = None) -> PartsFolder:
    return PartsFolder(folder, describe_job(run, spec or RecommendationSpec(5), RunUsers(run), size))


@pytest.fixture(scope="module")
def straight(run, scorer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("straight") / "best"
    parts = job(run, folder)
    recommend_to_folder(scorer, RunUsers(run), parts, parts.begin(resume=False))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def places(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.glob("part-*.parquet")}


def words(run: Path, out: Path) -> list[str]:
    return ["recommend", str(run), "--out", str(out), "-k", "5", "--part-users", str(SIZE)]


@pytest.fixture(scope="module")
def killed(run, tmp_path_factory) -> dict[tuple[int, bool], Path]:
    """Return the folder that every kill leaves."""
    folders = {kill: tmp_path_factory.mktemp("killed") / "best" for kill in KILLS}
    given = json.dumps([[*kill, *words(run, out)] for kill, out in folders.items()])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", KILLED, given]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(KILLS), done.stderr
    return folders


def test_a_folder_of_parts(run, straight):
    assert sorted(contents(straight)) == ["manifest.json", *(f"part-{n:05d}.parquet" for n in range(8))]
    manifest = json.loads((straight / "manifest.json").read_text())
    assert manifest["k"] == 5
    assert manifest["users"] == sum(part["users"] for part in manifest["parts"]) == 300
    table = pl.read_parquet(straight / "*.parquet")
    assert table.columns == ["user_id", "rank", "item_id", "score"]
    assert len(table) == manifest["rows"] == 1500
    users = RunUsers(run).read(0, 300)["user_id"].to_list()
    assert table["user_id"].unique(maintain_order=True).to_list() == users
    assert [part["without_known_item"] for part in manifest["parts"]] == [0] * 8


@pytest.mark.slow
@pytest.mark.parametrize("kill", KILLS)
def test_killed_and_resumed_gives_the_same_bytes(run, straight, killed, kill):
    out, finished = killed[kill], KILLS[kill]
    assert not (out / "manifest.json").exists()
    kept = places(out)
    assert len(kept) == finished
    if kill[0] > 1:
        refused = mltfr(*words(run, out), check=False)
        assert refused.returncode == 2
        assert "holds unfinished recommendations. Continue them with --resume" in refused.stderr
    done = mltfr(*words(run, out), "--resume")
    assert "300 users, 1,500 rows written" in done.stdout
    assert (f"{finished} of 8 parts are finished and kept" in done.stderr) == bool(finished)
    assert contents(out) == contents(straight)
    assert {name: place for name, place in places(out).items() if name in kept} == kept


def test_damaged_and_missing_parts_are_made_again(tmp_path, run, scorer, straight):
    out = tmp_path / "best"
    parts = job(run, out)
    recommend_to_folder(scorer, RunUsers(run), parts, parts.begin(resume=True))
    before = places(out)
    (out / "part-00002.parquet").unlink()
    (out / "part-00004.parquet").write_bytes((out / "part-00005.parquet").read_bytes())
    finished = parts.begin(resume=True)
    assert sorted(finished) == [0, 1, 3, 5, 6, 7]
    recommend_to_folder(scorer, RunUsers(run), parts, finished)
    assert contents(out) == contents(straight)
    after = places(out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"part-00002.parquet", "part-00004.parquet"}


def test_a_part_whose_record_was_changed_is_made_again(tmp_path, run, scorer, straight):
    parts = job(run, tmp_path / "out")
    parts.begin(resume=False)
    part = parts.parts[0]
    parts.write(part, scorer.score(RunUsers(run).read(part.start, part.stop)))
    (record,) = (tmp_path / "out/.job").glob("part-*.json")
    assert parts.begin(resume=True).keys() == {0}
    record.write_text(record.read_text().replace('"users": 40', '"users": 41'))
    assert parts.begin(resume=True) == {}


@pytest.mark.parametrize("name", [".job/job.json", "manifest.json"])
def test_any_flipped_byte_of_what_a_job_is_continued_by_is_found(tmp_path, run, scorer, name):
    parts = job(run, tmp_path / "out")
    finished = parts.begin(resume=False)
    if name == "manifest.json":
        recommend_to_folder(scorer, RunUsers(run), parts, finished)
    path = tmp_path / "out" / name
    content = path.read_bytes()
    for place in range(0, len(content) - 1, 1 + len(content) // 700):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(OutputError, match=f"{name}: damaged"):
            parts.begin(resume=True)
    path.write_bytes(content)
    parts.begin(resume=True)


def test_only_the_same_job_is_continued(tmp_path, run, straight):
    with pytest.raises(OutputError, match=r"holds finished recommendations \(part-\*\.parquet\)\. Check them with"):
        job(run, straight).begin(resume=False)
    for other, names in (
        (job(run, straight, size=50), "part_users"),
        (job(run, straight, spec=RecommendationSpec(6)), "k"),
        (job(run, straight, spec=RecommendationSpec(5, True, deny=("i0001",))), "include_seen, deny"),
        (PartsFolder(straight, {**job(run, straight).job, "run": "other", "histories": "x"}), "run, histories"),
    ):
        with pytest.raises(OutputError, match=rf"was begun with another {names}\. Repeat the command that began it"):
            other.begin(resume=True)
    assert len(job(run, straight).begin(resume=True)) == 8
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(OutputError, match="is not empty and not recommendations"):
        job(run, tmp_path / "mine").begin(resume=True)
    (tmp_path / "mine" / "manifest.json").write_text("{}")
    with pytest.raises(OutputError, match=r"manifest.json: damaged, or of another version"):
        job(run, tmp_path / "mine").begin(resume=True)
    with pytest.raises(OutputError, match=r"is a file"):
        job(run, tmp_path / "mine" / "notes.txt").begin(resume=False)


def test_asked_to_stop_finished_parts_stay(tmp_path, run, scorer, straight):
    class Done(Progress):
        """Counts the users that are done, and may stop the job."""

        def start(self, task: str, total: int | None = None, done: int = 0) -> None:
            self.begun, self.total, self.done = done, total, done

        def advance(self, steps: int = 1) -> None:
            self.done += steps
            if stop is not None and self.done > 3 * SIZE:
                stop.set()

    parts, progress, stop = job(run, tmp_path / "best"), Done(), threading.Event()

    with pytest.raises(Interrupted):
        recommend_to_folder(scorer, RunUsers(run), parts, parts.begin(False), progress=progress, stop=stop)
    assert len(places(tmp_path / "best")) == 4
    assert (progress.done, progress.total) == (4 * SIZE, 300)
    finished, stop = parts.begin(resume=True), None
    recommend_to_folder(scorer, RunUsers(run), parts, finished, progress=progress)
    assert (progress.begun, progress.done, progress.total) == (4 * SIZE, 300, 300)
    assert contents(tmp_path / "best") == contents(straight)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_one_file_is_the_parts_one_after_the_other(tmp_path, run, scorer, straight, ending):
    out = tmp_path / f"best.{ending}"
    summary = recommend_to_file(scorer, RunUsers(run), out, part_users=SIZE)
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}[ending]
    expected = pl.read_parquet(straight / "*.parquet")
    assert read(out).select(pl.col("score").cast(pl.Float32), "user_id", "rank", "item_id").equals(
        expected.select("score", "user_id", "rank", "item_id")
    )
    assert (summary.users, summary.rows) == (300, 1500)
    whole = tmp_path / f"whole.{ending}"
    recommend_to_file(scorer, RunUsers(run), whole)
    table = scorer.score(RunUsers(run).read(0, 300)).table
    write = {"csv": table.write_csv, "parquet": table.write_parquet, "jsonl": table.write_ndjson}[ending]
    write(tmp_path / "expected")
    assert whole.read_bytes() == (tmp_path / "expected").read_bytes()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        recommend_to_file(scorer, RunUsers(run), out, part_users=SIZE, stop=stop)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([out.name, whole.name, "expected"])


def test_records_left_behind_a_manifest_go_with_the_next_resume(tmp_path, run, straight):
    folder = tmp_path / "lists"
    shutil.copytree(straight, folder)
    (folder / ".job").mkdir()
    for name in ("job.json", "part-00000.parquet.json", ".job.json.7-0123abcd.partial"):
        (folder / ".job" / name).write_text("{}")
    with locked_parts(folder):
        assert len(job(run, folder).begin(resume=True)) == 8
    assert contents(folder) == contents(straight)
    assert not (folder / ".job").exists()
