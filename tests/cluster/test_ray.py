"""A real local Ray with two workers: the same results as one machine, and lost workers are survived."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from threading import Event, Thread

import polars as pl
import pytest
from test_cluster_options import run

from mltfr.threads import SHORT_WAITS, waits
from support.processes import OPTIONS, SMALL, assert_same_run, checkpointed, descendants, wait_until
from support.small_study import LaunchedHere

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]


def kill_once(condition, find):
    """Kill, in the background, one of the processes that `find` returns, once a condition is true."""
    killed = []

    def work():
        wait_until(condition, 500)
        number = max(wait_until(find))
        os.kill(number, signal.SIGKILL)
        killed.append(number)

    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread, killed


@contextmanager
def seen(find):
    """Yield the set of all processes that `find` has returned so far, asked twice a second."""
    found, over = set(), Event()

    def work():
        while not over.wait(0.5):
            found.update(find())

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def test_workers_of_a_local_cluster_are_told_how_their_threads_wait(ray_cluster):
    import ray

    worker = ray.get(ray.remote(lambda: {**os.environ}).remote())
    assert [waits(worker), ray_cluster] == [SHORT_WAITS, {}]


def test_a_fit_that_loses_a_worker_ends_like_that_of_one_process(capsys, log, alone, tmp_path):
    """The worker is killed with SIGKILL in round 2; the others end, and new ones go on from the checkpoint."""
    out = tmp_path / "run"
    header, first, *rest = log.read_text().splitlines()
    padded = [tmp_path / "padded.csv", tmp_path / "rest.csv"]
    padded[0].write_text("\n".join([header, f" {first}", *rest[:50]]) + "\n")
    padded[1].write_text("\n".join([header, *rest[50:], ",i1,3", "u1,none,9"]) + "\n")
    thread, killed = kill_once(lambda: checkpointed(out, 2, 3), lambda: descendants("RayTrainWorker"))
    options = [*OPTIONS, "--set", "training.advanced.checkpoint_seconds=0", "--skip-invalid"]
    options += ["--where", "item_id != none"]
    run("fit", *padded, "--out", out, *options, "--engine", "ray", "--workers", "2")
    thread.join()
    assert killed
    printed = capsys.readouterr()
    assert "Run written to" in printed.out
    assert "round 1 of 2, epoch 1 of at most 2" in printed.err
    for note in ("white space was stripped off", "invalid rows dropped: 1.", "read 2 files", "rows meet the condition"):
        assert printed.err.count(note) == 1, "once, not once a worker"
    text = (out / "config.toml").read_text()
    for asked, usual in {
        "_seconds = 0.0": "_seconds = 60.0",
        'where = "item_id != none"\n': "",
        "skip_invalid = true": "skip_invalid = false",
    }.items():
        assert asked in text
        text = text.replace(asked, usual)
    (out / "config.toml").write_text(text)
    assert_same_run(out, alone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["padded.csv", "rest.csv", "run"]


def test_a_mistake_that_one_worker_finds_is_one_line_and_ends_the_others(capsys, log, tmp_path):
    """The first process alone reads the checkpoint, while the other one waits for it; nothing is begun again."""
    import ray

    state = tmp_path / "run/checkpoint/state.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    options = [*OPTIONS, "--engine", "ray", "--workers", "2", "--resume"]
    before = set(descendants("RayTrainWorker"))  # of the test before this one, which end now
    with seen(lambda: set(descendants("RayTrainWorker")) - before) as workers:
        run("fit", log, "--out", tmp_path / "run", *options, code=2)
    assert len(workers) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith("mltfr: ")] == errors[-1:]
    assert "state.json: damaged" in errors[-1]
    wait_until(lambda: ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"])  # all are given back


def test_recommendations_are_those_of_one_machine_and_only_the_lost_part_is_done_again(alone, tmp_path):
    from mltfr.batch import PartsFolder, RunUsers, describe_job
    from mltfr.cluster import recommend_with_ray
    from mltfr.inference import RecommendationSpec

    reads = tmp_path / "reads"
    reads.mkdir()

    class SlowUsers(RunUsers):
        """Notes what is read by which process, and leaves time to kill it."""

        def read(self, start, stop):
            import os
            import time

            (reads / f"{time.time_ns()}-{os.getpid()}").touch()
            time.sleep(1)
            return super().read(start, stop)

    def reader():
        """Return the process that began to read a part just now."""
        return [int(max(path.name for path in reads.iterdir()).partition("-")[2])]

    run("recommend", alone, "--out", tmp_path / "here", "--part-users", "6")
    users, spec = SlowUsers(alone), RecommendationSpec()
    folder = PartsFolder(tmp_path / "ray", describe_job(alone, spec, users, 6))
    finished = folder.begin(resume=False)
    thread, killed = kill_once(lambda: len(list(reads.iterdir())) >= 3, reader)
    summary = recommend_with_ray(alone, spec, users, folder, finished, 2)
    thread.join()
    assert killed
    parts = sorted(path.name for path in (tmp_path / "here").glob("*.parquet"))
    assert len(parts) == 10
    for name in [*parts, "manifest.json"]:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert summary.rows == len(pl.read_parquet(tmp_path / "ray/*.parquet"))
    assert summary.users == 60
    again = len(list(reads.iterdir())) - len(parts)
    assert again == 1, "the part that the killed worker had at hand, and no other"


def test_finished_parts_are_kept_whoever_made_them(capsys, alone, tmp_path):
    options = ("--part-users", "16")
    run("recommend", alone, "--out", tmp_path / "out", *options)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")}
    lost = tmp_path / "out/part-00002.parquet"
    content = lost.read_bytes()
    lost.unlink()
    run("recommend", alone, "--out", tmp_path / "out", *options, "--resume", "--engine", "ray", "--workers", "2")
    assert "3 of 4 parts are finished and kept" in capsys.readouterr().err
    assert lost.read_bytes() == content
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")}
    assert [name for name in before if before[name] != after[name]] == [lost.name]


OF_ALL = [line for line in SMALL if not line.startswith(("fusion.", "tokens.tables"))]
OF_MLTFR = [line for line in SMALL if line.startswith("fusion.")]
STUDY = f"""
title = "Small"
seeds = [0]
[data.made-up]
name = "synthetic"
synthetic = {{users = 120, items = 40, topics = 4}}
[settings]
{chr(10).join(OF_ALL)}
[backbones.sasrec]
[fusions.none]
[fusions.mltfr]
{chr(10).join(OF_MLTFR)}
[tables.one]
tables = ["synthetic-2"]
"""


def test_the_cells_of_a_study_are_those_of_one_machine_and_a_lost_one_goes_on(tmp_path, home):
    from mltfr.cluster import study_with_ray
    from mltfr.study import run_study

    (tmp_path / "study.toml").write_text(STUDY)
    here = run_study(tmp_path / "study.toml", tmp_path / "here", jobs=1, launch=LaunchedHere())
    thread, killed = kill_once(
        lambda: list((tmp_path / "ray").glob("cells/*/checkpoint/state.json")), lambda: descendants("ray::_train")
    )
    there = study_with_ray(tmp_path / "study.toml", tmp_path / "ray", 2)
    thread.join()
    assert killed
    assert (here.done, here.failures) == (there.done, there.failures) == (2, {})
    for path in sorted((tmp_path / "here/cells").glob("*/")):
        other = tmp_path / "ray/cells" / path.name
        assert (path / "users.parquet").read_bytes() == (other / "users.parquet").read_bytes()
        assert (path / "metrics.json").read_text() == (other / "metrics.json").read_text()
    assert (tmp_path / "here/summary.md").read_text() == (tmp_path / "ray/summary.md").read_text()
