"""The jobs that are killed, starved and doubled: small ones of every kind that writes a folder."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from faults.cells import study
from faults.children import in_child

SETTINGS = (
    "backbone.hidden=8", "backbone.blocks=1", "backbone.max_length=8", "tokens.width=8", "fusion.filter.shortlist=16",
    "fusion.filter.keep=4", "training.batch_size=16", "training.advanced.fisher_examples=8", "training.device=cpu",
    "training.first_round_epochs=1", "training.advanced.checkpoint_seconds=0",
)  # fmt: skip
STUDY = """
title = "Small"
seeds = [0]
baselines = ["popularity"]
[data.made-up]
name = "synthetic"
synthetic = {users = 60, items = 30, topics = 4}
[settings]
backbone = {hidden = 8, blocks = 1, max_length = 8}
tokens.width = 8
[settings.training]
samples = "positions"
epochs = 1
first_round_epochs = 1
batch_size = 16
advanced = {fisher_examples = 8, checkpoint_seconds = 0}
[backbones.sasrec]
[fusions.none]
[fusions.mltfr]
fusion.filter = {shortlist = 16, keep = 2}
[tables.one]
tables = ["synthetic-2"]
"""
NEW_CELLS = "study, cells in new processes"
"""The job that imports torch for every cell of its study."""
TIMES = {"created", "wall_seconds", "seconds", "elapsed", "files", "estimate", "checksum"}
"""What of a JSON document depends on the clock, or is a checksum of what does."""
VERIFIED = ".verified.json"
"""What the store remembers of files that it has checked: their times."""
AVERAGED = ("router_", "filter_", "dead_experts")
"""What of a log of training is averaged over the steps of an epoch that one process has done."""


@dataclass(frozen=True)
class Job:
    """A job that writes `target`, in a folder that `material` filled.

    Attributes:
        name: row of the table.
        target: what it writes, in that folder.
        begin: does it, in a child process whose working folder is that folder.
        resume: does it again after an interruption.
        later: another job of the same kind, of the day after; `resume` if not given.
    """

    name: str
    target: str
    begin: Callable[[], int | None]
    resume: Callable[[], int | None]
    later: Callable[[], int | None] | None = None


def command(*words: str) -> Callable[[], int | None]:
    """Return a function that runs the command line here, and ends the process."""

    def run() -> None:
        from mltfr.cli.main import main

        sys.argv = ["mltfr", *words]
        main()

    return run


def as_command(work: Callable[[], int | None]) -> Callable[[], int | None]:
    """Return a function that does something as the command line does: a refusal is one line, and exit code 2."""

    def run() -> None:
        from mltfr.cli import main as module

        module.app = lambda **options: work()  # type: ignore[assignment]
        sys.argv = ["mltfr"]
        module.main()

    return run


def _fit() -> list[str]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return ["fit", "log.csv", "--out", "run", "--tokens", "alpha,beta", "--epochs", "1", *settings]


def _tokens(first: str = "alpha", width: int = 8) -> None:
    """Import two tables and prepare them, as the first `fit` that names them does."""
    from mltfr.tokens.config import TokensConfig
    from mltfr.tokens.load import import_table, load_tables
    from mltfr.tokens.store import TokenStore

    store = TokenStore()
    for name, source in ((first, "alpha"), ("beta", "beta")):
        import_table(name, f"{source}/table.npy", store, vocabulary=Path(source) / "vocabulary.json")
    load_tables(TokensConfig(tables=(first, "beta"), width=width), store)


JOBS = {
    job.name: job
    for job in (
        Job("fit", "run", command(*_fit()), command(*_fit(), "--resume")),
        Job(
            "recommend in parts", "parts",
            command("recommend", "fitted", "--out", "parts", "--part-users", "5"),
            command("recommend", "fitted", "--out", "parts", "--part-users", "5", "--resume"),
        ),
        Job("tokens", "home", as_command(_tokens), as_command(_tokens), as_command(partial(_tokens, "gamma", 6))),
        Job(
            "data prepare", "set", command("data", "prepare", "log.csv", "--out", "set", "--memory", "64M"),
            command("data", "prepare", "log.csv", "--out", "set", "--memory", "64M"),
        ),
        Job("study", "study", as_command(partial(study, resume=False)), as_command(partial(study, resume=True))),
        Job(
            NEW_CELLS, "study", as_command(partial(study, resume=False, forked=False)),
            as_command(partial(study, resume=True, forked=False)),
        ),
    )
}  # fmt: skip


def make_material(folder: Path) -> None:
    """Fill a folder with a log, two token tables in a store, a study file and a fitted run."""
    folder.mkdir(parents=True)

    def make() -> None:
        import numpy as np

        random = np.random.default_rng(0)
        lines = ["user_id,item_id,timestamp"]
        for user in range(40):
            items = dict.fromkeys((random.integers(20) + np.cumsum(random.integers(1, 4, random.integers(5, 10)))) % 20)
            lines += [f"u{user},i{item},{1_600_000_000 + place}" for place, item in enumerate(items)]
        Path("log.csv").write_text("\n".join(lines) + "\n")
        Path("study.toml").write_text(STUDY)
        for name in ("alpha", "beta"):
            Path(name).mkdir()
            np.save(f"{name}/table.npy", random.normal(size=(40, 12)).astype(np.float32))
            words = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}word" for n in range(40)]
            Path(name, "vocabulary.json").write_text(json.dumps(words))
        _tokens()
        words = _fit()
        words[words.index("run")] = "fitted"
        command(*words)()

    ended = in_child(inside(folder, make))
    assert ended.code == 0, ended


def inside(folder: Path, work: Callable[[], int | None]) -> Callable[[], int | None]:
    """Return a function that does something in a folder, with the store in it, offline."""

    def do() -> int | None:
        os.chdir(folder)
        os.environ.update(MLTFR_HOME=str(folder / "home"), MLTFR_OFFLINE="1", COLUMNS="160")
        return work()

    return do


def after(setup: Callable[[], object], work: Callable[[], int | None]) -> Callable[[], int | None]:
    """Return a function that does something after `setup`, in the process that calls it."""

    def do() -> int | None:
        setup()
        return work()

    return do


def copy_material(material: Path, folder: Path, job: Job) -> None:
    """Copy what a job needs into a new folder."""
    without = shutil.ignore_patterns(job.target)
    shutil.copytree(material, folder, ignore=without, dirs_exist_ok=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, JSON ones without what depends on the clock."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != VERIFIED:
            found[str(path.relative_to(folder))] = _timeless(path)
    return found


def difference(found: dict[str, bytes], right: dict[str, bytes]) -> str:
    """Return the first difference of two folders' contents; empty if they are the same."""
    missing, more = sorted(right.keys() - found.keys()), sorted(found.keys() - right.keys())
    other = [name for name in right if name in found and found[name] != right[name]]
    told = [f"{word} {', '.join(names[:4])}" for word, names in
            (("missing", missing), ("stray", more), ("different", other)) if names]  # fmt: skip
    return "; ".join(told)


def _timeless(path: Path) -> bytes:
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            return json.dumps(_without(json.loads(content))).encode()
        if path.suffix == ".jsonl":
            return b"\n".join(json.dumps(_without(json.loads(line))).encode() for line in content.splitlines())
    except ValueError:
        pass
    return content


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: entry for key, entry in value.items() if key not in TIMES and not key.startswith(AVERAGED)}
        return {key: _without(entry) for key, entry in kept.items()}
    return [_without(entry) for entry in value] if isinstance(value, list) else value
